"""Settings of all tests, and a PostgreSQL for those that want one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from model.environment import connect
from model.postgres import PostgresServer
from tests.postgres_server import PostgresProcess, binaries

# The same examples in every run, however slow the machine: a red run is red again, and a green one green.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"


@pytest.fixture(autouse=True)
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set where the tests run is none of their business."""
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture(scope="session")
def _postgres() -> Iterator[PostgresProcess]:
    if binaries() is None:
        reason = "PostgreSQL is not installed here (Debian: `apt install postgresql`)"
        if "CI" in os.environ:
            pytest.fail(f"{reason}, and has to be where `.ci/run` is")
        pytest.skip(reason)
    with PostgresProcess() as process:
        yield process


@pytest.fixture
def postgres(_postgres: PostgresProcess) -> PostgresProcess:
    """A PostgreSQL in which there is nothing; one for all tests of a process."""
    _postgres.clear()
    return _postgres


@pytest.fixture
def database(postgres: PostgresProcess) -> Iterator[PostgresServer]:
    """What the bot makes of it."""
    server = connect(postgres.url)
    server.listen()
    yield server
    server.close()


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | PostgresServer:
    """Where tables are: each test that asks for it runs with a file and with a server."""
    if request.param == SQLITE:
        return tmp_path / "models" / "tables.sqlite"
    server: PostgresServer = request.getfixturevalue("database")
    return server
