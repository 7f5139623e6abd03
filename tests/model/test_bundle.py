"""Bundles on disk: whole or refused, published all at once."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from model import bundle as module
from model.bundle import (
    CURRENT,
    ENCODER,
    FILES,
    HEAD,
    PRETRAINED,
    TRAINING,
    WEIGHTS,
    Bundle,
    BundleFacts,
    ModelFormatError,
    ModelVersionError,
    bundles,
    live_bundle,
    make_live,
    publish,
    remove,
    report_of,
    staging,
)
from model.lock import LockedError

FACTS = BundleFacts(
    preset="base",
    network={"vocabulary_size": 300, "tied": True},
    max_context_tokens=48,
    max_reply_tokens=32,
    training={"source": "exports", "examples": 7, "comment": "né 👍"},
)

SENTENCE = r"^(The|No) model[^\n]+: (train it again|choose|make room)[^\n]*[^.]\.$"
"""One sentence with the remedy behind a colon."""


def put(models: Path, facts: BundleFacts = FACTS) -> Path:
    """Publish a bundle whose files hold their own names."""
    with staging(models) as staged:
        for name in FILES:
            (staged / name).write_text(f"{name} of {facts.preset}")
        return publish(staged, facts)


def refuse_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def symlink_to(self: Path, target: str, target_is_directory: bool = False) -> None:
        raise OSError("A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", symlink_to)


@pytest.fixture(params=["link", "plain file"])
def current_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether `current` can be a link."""
    if request.param == "plain file":
        refuse_links(monkeypatch)
    return str(request.param)


def test_a_published_bundle_is_live_and_opens_with_its_facts(tmp_path: Path, current_kind: str) -> None:
    directory = put(tmp_path / "new" / "models")
    assert (directory.parent / CURRENT).is_symlink() == (current_kind == "link")
    assert live_bundle(directory.parent) == directory
    assert Bundle.open(directory) == Bundle(directory, FACTS)


def test_a_newer_bundle_takes_over_and_the_older_stays(tmp_path: Path, current_kind: str) -> None:
    older, newer = put(tmp_path), put(tmp_path, replace(FACTS, preset="classic"))
    assert live_bundle(tmp_path) == newer
    assert [Bundle.open(directory).facts.preset for directory in (older, newer)] == ["base", "classic"]


def test_any_bundle_can_be_made_live_again(tmp_path: Path, current_kind: str) -> None:
    older, newer = put(tmp_path), put(tmp_path)
    assert bundles(tmp_path) == [older, newer]
    make_live(tmp_path, older.name)
    assert live_bundle(tmp_path) == older
    for _ in range(2):
        make_live(tmp_path, None)
        assert live_bundle(tmp_path) == PRETRAINED
    (newer / WEIGHTS).write_bytes(b"")
    make_live(tmp_path, older.name)
    for name in (newer.name, "missing"):
        with pytest.raises(ModelFormatError, match=name):
            make_live(tmp_path, name)
    assert live_bundle(tmp_path) == older


def test_links_and_plain_files_replace_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path)
    with monkeypatch.context() as without_links:
        refuse_links(without_links)
        directory = put(tmp_path)
    assert live_bundle(tmp_path) == directory
    directory = put(tmp_path)
    assert live_bundle(tmp_path) == directory
    assert (tmp_path / CURRENT).is_symlink()


def test_on_windows_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IS_WINDOWS", True)  # where a link to a folder cannot be replaced
    directories = [put(tmp_path), put(tmp_path)]
    assert (tmp_path / CURRENT).read_text(encoding="utf-8").strip() == directories[1].name
    assert not (tmp_path / CURRENT).is_symlink()
    assert live_bundle(tmp_path) == directories[1]


def test_names_made_in_one_second_differ_and_sort_by_age(tmp_path: Path) -> None:
    directories = [put(tmp_path) for _ in range(4)]
    assert directories == sorted(set(directories))


def test_a_moved_models_folder_still_works(tmp_path: Path, current_kind: str) -> None:
    directory = put(tmp_path / "models")
    moved = (tmp_path / "models").rename(tmp_path / "moved")
    assert Bundle.open(live_bundle(moved)).directory == moved / directory.name


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_others_may_read_what_is_published(tmp_path: Path) -> None:
    directory = put(tmp_path)
    assert directory.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o644}


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_where_nothing_is_published_the_shipped_bundle_is_live(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    assert live_bundle(tmp_path / folder) == PRETRAINED


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("position", [0, -1])
def test_a_flipped_bit_is_noticed(tmp_path: Path, name: str, position: int) -> None:
    path = put(tmp_path) / name
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=SENTENCE) as caught:
        Bundle.open(path.parent)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", [b"", b"longer than it was, and by a lot"])
def test_a_file_of_another_length_is_noticed(tmp_path: Path, name: str, change: bytes) -> None:
    path = put(tmp_path) / name
    path.write_bytes(change)
    with pytest.raises(ModelFormatError, match=f"{name} is damaged"):
        Bundle.open(path.parent)


@pytest.mark.parametrize("name", [HEAD, *FILES])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    path = put(tmp_path) / name
    path.unlink()
    with pytest.raises(ModelFormatError, match=SENTENCE) as caught:
        Bundle.open(path.parent)
    assert f"{path} is missing" in str(caught.value)


def put_with_training_weights(models: Path) -> Path:
    with staging(models) as staged:
        for name in (*FILES, TRAINING):
            (staged / name).write_text(name)
        return publish(staged, FACTS)


def test_damaged_weights_for_training_are_noticed_by_training_only(tmp_path: Path) -> None:
    directory = put_with_training_weights(tmp_path)
    assert Bundle.open(directory, training=True) == Bundle.open(directory) == Bundle(directory, FACTS)
    (directory / TRAINING).write_text("damaged")
    assert Bundle.open(directory).facts == FACTS
    with pytest.raises(ModelFormatError, match=f"{TRAINING} is damaged"):
        Bundle.open(directory, training=True)


def test_weights_for_training_may_be_left_out_but_not_slipped_in(tmp_path: Path) -> None:
    directory = put_with_training_weights(tmp_path)
    (directory / TRAINING).unlink()
    assert Bundle.open(directory, training=True).facts == FACTS
    other = put(tmp_path)
    (other / TRAINING).write_text("of another model")
    assert Bundle.open(other).facts == FACTS
    with pytest.raises(ModelFormatError, match=TRAINING):
        Bundle.open(other, training=True)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=SENTENCE) as caught:
        Bundle.open(tmp_path / "absent")
    assert str(tmp_path / "absent") in str(caught.value)


@pytest.mark.parametrize(
    "head",
    [
        *(b"", b"{", b"\xff\xfe", b"null", b"[]", b"3", b'"text"', b"{}"),
        *(b'{"format": 4}', b'{"format": 4, "facts": 3}', b'{"format": 4, "facts": {}, "files": {}}'),
    ],
)
def test_a_head_of_garbage_is_refused(tmp_path: Path, head: bytes) -> None:
    directory = put(tmp_path)
    (directory / HEAD).write_bytes(head)
    with pytest.raises(ModelFormatError, match=SENTENCE) as caught:
        Bundle.open(directory)
    assert str(directory) in str(caught.value)
    assert HEAD in str(caught.value)


def test_any_bit_flipped_in_the_head_is_refused_or_harmless(tmp_path: Path) -> None:
    directory = put(tmp_path)
    content = (directory / HEAD).read_bytes()
    refused = 0
    for bit in range(0, 8 * len(content), 11):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (directory / HEAD).write_bytes(flipped)
        try:
            Bundle.open(directory)
        except ModelFormatError:
            refused += 1
    assert refused > 8 * len(content) / 11 / 2


Head = dict[str, dict[str, object]]


def rewrite_head(directory: Path, change: Callable[[Head], object]) -> None:
    head = json.loads((directory / HEAD).read_text(encoding="utf-8"))
    change(head)
    (directory / HEAD).write_text(json.dumps(head), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda head: head["facts"].update(colour="red"), "colour"),
        (lambda head: head["facts"].pop("max_reply_tokens"), "max_reply_tokens"),
        (lambda head: head["facts"].update(max_reply_tokens=10**9), "max_reply_tokens"),
        (lambda head: head["facts"].update(max_context_tokens="48"), "max_context_tokens"),
        (lambda head: head["files"].pop(WEIGHTS), WEIGHTS),
        (lambda head: head["files"].update({ENCODER: "sha256"}), ENCODER),
    ],
)
def test_a_head_of_other_fields_is_refused_and_the_field_named(
    tmp_path: Path, change: Callable[[Head], object], named: str
) -> None:
    directory = put(tmp_path)
    rewrite_head(directory, change)
    with pytest.raises(ModelFormatError, match=SENTENCE) as caught:
        Bundle.open(directory)
    assert named in str(caught.value)


def test_another_format_is_refused_as_that_whatever_else_it_says(tmp_path: Path) -> None:
    directory = put(tmp_path)
    rewrite_head(directory, lambda head: head.update(format=1, facts={"colour": "red"}))  # type: ignore[call-overload]
    with pytest.raises(ModelFormatError, match=SENTENCE) as caught:
        Bundle.open(directory)
    assert "was made by an older Chinwag (it has format 1, not 4)" in str(caught.value)


def test_one_of_a_newer_version_asks_for_that(tmp_path: Path) -> None:
    directory = put(tmp_path)
    rewrite_head(directory, lambda head: head.update(format=5))  # type: ignore[call-overload]
    with pytest.raises(ModelVersionError, match=r"^The model [^\n]*a newer Chinwag [^\n]*: update Chinwag, [^\n]*\.$"):
        Bundle.open(directory)


NO_BUNDLES = ("nothing", ".", "..", "../x", "x/../x", "/", ".new-abc", "bundle.json")


@pytest.mark.parametrize(
    ("named", "kind"),
    [(named, kind) for named in NO_BUNDLES for kind in ("link", "plain file")]
    + [(named, "plain file") for named in ("", "a\x00b", "n" * 5000)],
)
def test_a_current_that_names_no_bundle_is_refused(tmp_path: Path, named: str, kind: str) -> None:
    models = tmp_path / "models"
    for directory in (tmp_path / "x", models / "x", models / ".new-abc"):
        directory.mkdir(parents=True)
    (models / "bundle.json").touch()
    if kind == "plain file":
        (models / CURRENT).write_text(named + "\n", encoding="utf-8")
    else:
        (models / CURRENT).symlink_to(named)
    with pytest.raises(ModelFormatError, match=r"current names [^\n]*: train it again [^\n]*\.$"):
        live_bundle(models)


def test_a_current_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / CURRENT).mkdir()
    with pytest.raises(ModelFormatError, match="current cannot be read"):
        live_bundle(tmp_path)
    (tmp_path / CURRENT).rmdir()
    (tmp_path / CURRENT).write_bytes(b"\xff\xff")
    with pytest.raises(ModelFormatError, match="current cannot be read"):
        live_bundle(tmp_path)


def test_an_old_bundle_can_be_put_back_by_hand(tmp_path: Path) -> None:
    older, _ = put(tmp_path), put(tmp_path)
    (tmp_path / CURRENT).unlink()
    (tmp_path / CURRENT).write_text(f"{older.name}\r\n", encoding="utf-8")
    assert live_bundle(tmp_path) == older


def test_a_bundle_that_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    live = put(tmp_path)
    with pytest.raises(KeyboardInterrupt), staging(tmp_path) as staged:  # noqa: PT012
        (staged / WEIGHTS).write_text("half")
        raise KeyboardInterrupt
    assert live_bundle(tmp_path) == live
    assert sorted(os.listdir(tmp_path)) == sorted([live.name, CURRENT])


def test_one_process_at_a_time_makes_a_model(tmp_path: Path) -> None:
    with (
        staging(tmp_path),
        pytest.raises(LockedError, match=r"^Another process is at work in .*: wait for it, or end it\.$"),
        staging(tmp_path),
    ):
        pass
    assert put(tmp_path) == live_bundle(tmp_path)


def test_a_removed_bundle_is_gone_at_once_and_altogether(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older, newer = put(tmp_path), put(tmp_path)
    for bundle in (older, newer):
        report_of(bundle).touch()
    with monkeypatch.context() as killed:
        killed.setattr("shutil.rmtree", lambda *arguments, **options: None)
        remove(older)
    assert bundles(tmp_path) == [newer]
    remove(newer)
    third = put(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([third.name, CURRENT])


_KILLED = """
import os, sys
from pathlib import Path
from model.bundle import CURRENT, FILES, Bundle, BundleFacts, bundles, live_bundle, publish, remove, staging

def put(models):
    with staging(models) as staged:
        for name in FILES:
            (staged / name).write_text(name)
        facts = BundleFacts(preset="x", network={}, max_context_tokens=1, max_reply_tokens=1, training={})
        return publish(staged, facts)

def die_at(step, models):
    def hook(event, arguments):
        nonlocal step
        here = event == "open" and str(arguments[0]).startswith(str(models))
        if here or event.startswith("os.") or event == "shutil.rmtree":
            step -= 1
            if step < 0:
                os._exit(9)
    sys.addaudithook(hook)

os.fsync = lambda file: None  # a kill loses nothing that the system has
base, doing, step, died = Path(sys.argv[1]), sys.argv[2], 0, True
while died:
    models = base / str(step)
    older, live = put(models), put(models)
    child = os.fork()
    if not child:
        die_at(step, models)
        put(models) if doing == "publish" else remove(older)
        os._exit(0)
    died = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    opened = [Bundle.open(bundle).directory for bundle in bundles(models)]
    assert live_bundle(models) in opened and live in opened, step
    assert doing == "remove" or older in opened, step
    assert put(models) == live_bundle(models)
    left = {path.name for path in models.iterdir()} - {CURRENT, *(path.name for path in bundles(models))}
    assert not left, (step, left)
    step += died
print(step)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.parametrize("doing", ["publish", "remove"])
def test_a_kill_at_any_step_leaves_whole_bundles_and_nothing_that_stays(tmp_path: Path, doing: str) -> None:
    """A process dies before its first call to the system, another one before its second, and so on to the last."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", _KILLED, str(tmp_path), doing]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > (30 if doing == "publish" else 5)


@pytest.mark.parametrize("folder", ["file", "file/models"])
def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelFormatError, match=SENTENCE) as caught, staging(tmp_path / folder):
        pass
    assert str(tmp_path / folder) in str(caught.value)


def fail_at(count: int, function: Callable[..., object]) -> Callable[..., object]:
    """A function whose call number `count`, from 0, finds the disk full."""
    calls = iter(range(1000))

    def failing(*args: object, **kwargs: object) -> object:
        if next(calls) == count:
            raise OSError(28, "No space left on device")
        return function(*args, **kwargs)

    return failing


@pytest.mark.parametrize(
    ("owner", "name", "count"),
    [(os, "fsync", count) for count in range(7)]
    + [(os, "replace", 0), (Path, "rename", 0), (Path, "chmod", 0), (Path, "chmod", 5), (Path, "write_text", 0)],
)
def test_a_publication_that_fails_leaves_the_old_bundle_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, count: int
) -> None:
    live = put(tmp_path)
    with staging(tmp_path) as staged:
        for file in FILES:
            (staged / file).touch()
        monkeypatch.setattr(owner, name, fail_at(count, getattr(owner, name)))
        with pytest.raises(ModelFormatError, match=r"cannot be written .*No space left.*: make room"):
            publish(staged, FACTS)
    monkeypatch.undo()
    assert live_bundle(tmp_path) == live
    assert Bundle.open(live).facts == FACTS
    assert not list(tmp_path.glob(".*"))
    assert put(tmp_path) == live_bundle(tmp_path) != live


def test_a_reader_sees_one_whole_bundle_or_another_all_the_time(tmp_path: Path, current_kind: str) -> None:
    put(tmp_path, replace(FACTS, max_reply_tokens=1))
    failures: list[Exception] = []
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                seen.append(Bundle.open(live_bundle(tmp_path)).facts.max_reply_tokens)
            except ModelFormatError as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(2, 41):
        put(tmp_path, replace(FACTS, max_reply_tokens=number))
    done.set()
    reader.join()
    assert not failures
    assert len(set(seen)) > 3
    assert seen == sorted(seen)
