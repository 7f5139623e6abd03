"""Who opted out: never lost, never silently nobody."""

# ruff: noqa: RUF001 - full-width letters are part of a test

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.consent import FILE_NAME, Consent, ConsentError, consent_key
from model.environment import connect
from model.postgres import PostgresServer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models" / FILE_NAME


@pytest.fixture
def named(place: Path | PostgresServer, request: pytest.FixtureRequest) -> Path | str:
    """The place, for another process."""
    return place if isinstance(place, Path) else str(request.getfixturevalue("postgres").url)


def test_a_missing_file_means_nobody_and_reading_makes_none(path: Path) -> None:
    assert Consent.open(path).excluded() == frozenset()
    assert not path.exists()


def test_requests_are_kept_under_one_key_for_each_account(place: Path | PostgresServer) -> None:
    consent = Consent.open(place)
    consent.opt_out("Ann Lee ")
    consent.opt_out("ANN LEE")
    consent.forget("42")
    assert Consent.open(place).excluded() == {"ann lee", "42"}
    assert Consent.open(place).forgotten().keys() == {"42"}
    assert consent_key(" ＡＮＮ lee") == "ann lee"


def test_opting_in_takes_either_request_back(place: Path | PostgresServer) -> None:
    consent = Consent.open(place)
    consent.opt_out("1")
    consent.forget("2")
    for account in ("1", "2", "3"):
        consent.opt_in(account)
    assert consent.excluded() == frozenset()


def test_who_asked_to_be_forgotten_is_not_merely_opted_out_afterwards(place: Path | PostgresServer) -> None:
    consent = Consent.open(place)
    consent.opt_out("1")
    consent.forget("1")
    consent.opt_out("1")
    assert consent.forgotten().keys() == {"1"}


def test_an_account_without_a_name_is_refused(place: Path | PostgresServer) -> None:
    with pytest.raises(ConsentError, match="empty"):
        Consent.open(place).opt_out("  ")


@pytest.mark.parametrize("content", [b"", b"nobody", b"SQLite format 3\0" + bytes(4080)])
def test_a_file_that_says_nothing_is_an_error_not_nobody(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    for use in (Consent.open, lambda path: Consent(path).opt_out("1")):
        with pytest.raises(ConsentError, match=r"consent\.sqlite, which says who opted out, is damaged"):
            use(path)
    assert path.read_bytes() == content


def test_another_database_is_an_error(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE request (id, kind, at)")
    connection.close()
    with pytest.raises(ConsentError, match="not written by Chinwag"):
        Consent.open(path)


@pytest.mark.parametrize("part", [0.01, 0.2, 0.5, 0.51, 0.75, 0.98, 0.999])
def test_a_file_that_is_cut_short_is_an_error(path: Path, part: float) -> None:
    Consent.open(path).opt_out("1")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ConsentError):
        Consent.open(path)


@settings(max_examples=30)
@given(st.binary(max_size=300))
def test_garbage_is_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("garbage") / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(ConsentError):
        Consent.open(path)


def test_a_file_that_another_process_holds_is_an_error_after_the_timeout(path: Path) -> None:
    Consent.open(path).opt_out("1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(ConsentError, match=r"in use by another process for 0\.05 seconds, and nothing has changed"):
            Consent.open(path, timeout=0.05)
    finally:
        other.close()
    assert Consent.open(path).excluded() == {"1"}


def test_a_list_of_which_a_part_was_lost_is_an_error_until_somebody_says_that_nobody_is_missing(path: Path) -> None:
    consent = Consent.open(path)
    consent.opt_out("1")
    path.write_bytes(b"garbage" * 100)
    assert consent.database.mend() is not None
    for each in (consent, Consent(path)):
        with pytest.raises(ConsentError, match=r"was lost on .*: put back a copy, or, .* run `chinwag optin '\*'`\.$"):
            each.excluded()
    consent.opt_out("2")
    consent.opt_in("*")
    assert Consent.open(path).excluded() == {"2"}


def test_a_folder_in_its_place_is_an_error(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(ConsentError):
        Consent.open(path)


def _opt_out_many(place: Path | str, name: str) -> None:
    for number in range(10):
        Consent.open(place if isinstance(place, Path) else connect(place), timeout=60).opt_out(f"{name}-{number}")


def test_processes_that_write_at_once_lose_nothing(place: Path | PostgresServer, named: Path | str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_opt_out_many, args=(named, f"p{number}")) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert Consent.open(place).excluded() == {f"p{number}-{turn}" for number in range(3) for turn in range(10)}
    if isinstance(place, Path):
        assert [file.name for file in place.parent.iterdir()] == [place.name]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_what_was_acknowledged_survives_a_kill(place: Path | PostgresServer, named: Path | str) -> None:
    opened = f"Path({str(named)!r})" if isinstance(named, Path) else f"connect({named!r})"
    script = (
        "from pathlib import Path; from model.consent import Consent; from model.environment import connect\n"
        "for number in range(100000):\n"
        f"    Consent.open({opened}).opt_out(str(number)); print(number, flush=True)"
    )
    root = Path(__file__).parents[2]
    for acknowledged in (1, 7, 20):
        if isinstance(place, Path):
            place.unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(acknowledged):
                process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
        assert Consent.open(place).excluded() >= {str(number) for number in range(acknowledged)}
