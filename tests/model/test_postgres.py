"""A PostgreSQL that several processes share: what one changes the others see, and it may go away and come back."""

import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from model import ChinwagError
from model.consent import Consent, ConsentError
from model.database import Schema, Table
from model.environment import ConfigError, connect
from model.postgres import PostgresServer, ServerError
from model.shared_lock import HeldError, Lock
from tests.postgres_server import PostgresProcess

BOOK = Table("book")


class BooksError(ChinwagError):
    """What is raised here."""


BOOKS = Schema(
    application=0x426F6F6B,
    steps=("CREATE TABLE book (id BIGINT PRIMARY KEY, title TEXT NOT NULL); CREATE TABLE lent (book BIGINT)",),
    error=BooksError,
    holds="lists the books",
)
LATER = Schema(
    application=BOOKS.application,
    steps=(*BOOKS.steps, "ALTER TABLE book ADD COLUMN author TEXT NOT NULL DEFAULT 'unknown'"),
    error=BooksError,
    holds=BOOKS.holds,
)


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.005)


def cut(postgres: PostgresProcess) -> None:
    """End all connections of the bot's, and wait until they are gone."""
    postgres.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'chinwag'")


@pytest.fixture
def other(database: PostgresServer, postgres: PostgresProcess) -> Iterator[PostgresServer]:
    """As another process has it."""
    server = connect(postgres.url)
    server.listen()
    yield server
    server.close()


def test_what_one_changes_others_see_without_asking_each_time(
    database: PostgresServer, other: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, others = Consent(database), Consent(other)
    assert others.excluded() == frozenset()
    mine.opt_out("1")
    assert mine.excluded() == {"1"}
    until(lambda: others.excluded() == {"1"})
    monkeypatch.setattr(other, "transaction", None)  # it would be a fault now
    assert others.excluded() == {"1"}


def test_who_does_not_listen_remembers_nothing(database: PostgresServer, postgres: PostgresProcess) -> None:
    mine, deaf = Consent(database), connect(postgres.url)
    others = Consent(deaf)
    for account in ("1", "2"):
        mine.opt_out(account)
        assert account in others.excluded()
    deaf.close()


def test_what_was_missed_while_the_connection_was_lost_is_seen(
    database: PostgresServer, other: PostgresServer, postgres: PostgresProcess
) -> None:
    others = Consent(other)
    assert others.excluded() == frozenset()
    before = other.state(0)
    cut(postgres)
    Consent(database).opt_out("1")  # on a connection that is lost as well
    until(lambda: others.excluded() == {"1"})
    until(lambda: other.state(0) not in (None, before))
    assert others.excluded() == {"1"}


def test_a_server_that_is_gone_is_told_and_used_again_when_it_is_back(
    database: PostgresServer, postgres: PostgresProcess
) -> None:
    consent = Consent(database)
    consent.opt_out("1")
    postgres.stop()
    try:
        until(lambda: database.is_deaf)
        for use in (consent.excluded, lambda: consent.opt_out("2"), consent.database.mend):
            with pytest.raises(ConsentError, match=r"on 127.0.0.1, which says who opted out, cannot be reached"):
                use()
        with pytest.raises(ServerError, match="cannot be reached"):
            connect(postgres.url).listen()
    finally:
        postgres.start()
    until(lambda: not database.is_deaf)
    until(lambda: database._failed is None or time.monotonic() > database._failed[0])
    assert consent.excluded() == {"1"}
    consent.opt_out("2")
    assert consent.excluded() == {"1", "2"}


def test_a_password_is_in_no_error(postgres: PostgresProcess) -> None:
    for url in ("postgresql://bot:secret@127.0.0.1:1/chinwag", "postgresql://bot:secret@no-such-host.invalid/chinwag"):
        with pytest.raises(ConsentError, match="cannot be reached") as raised:
            Consent.open(connect(url))
        assert "secret" not in str(raised.value)
    with pytest.raises(ConfigError, match="no address that PostgreSQL knows") as refused:
        connect("postgresql://bot:secret@host:many/chinwag?secret=1")
    assert "secret" not in str(refused.value)


def test_tables_are_made_once_however_many_ask_for_them(postgres: PostgresProcess) -> None:
    servers = [connect(postgres.url) for _ in range(4)]
    failures: list[Exception] = []

    def write(number: int) -> None:
        try:
            with servers[number].database(LATER).transaction(write=True) as transaction:
                transaction.run(BOOK.insert(id=number, title="a"))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert postgres.execute("SELECT count(*), min(author) FROM chinwag.book") == [(4, "unknown")]
    for server in servers:
        server.close()


def test_older_tables_are_brought_up_to_date_and_later_ones_refused(
    database: PostgresServer, postgres: PostgresProcess
) -> None:
    assert database.version(BOOKS) == 0
    with database.database(BOOKS).transaction(write=True) as transaction:
        transaction.run(BOOK.insert(id=1, title="one"))
    assert database.version(BOOKS) == 1
    later = connect(postgres.url)
    with later.database(LATER).transaction(write=False) as transaction:
        assert transaction.run(BOOK.select(BOOK.c.id, BOOK.c.title, BOOK.c.author)) == [(1, "one", "unknown")]
    later.close()
    newcomer = connect(postgres.url)
    for use in (newcomer.database(BOOKS).inspect, newcomer.database(BOOKS).mend):
        with pytest.raises(BooksError, match=r"later version of Chinwag \(its format is 2, this one knows 1\): update"):
            use()
    with pytest.raises(BooksError, match="later version"), newcomer.database(BOOKS).transaction(write=True):
        pass
    newcomer.close()


def test_a_transaction_that_fails_changes_nothing_and_shows_no_values(database: PostgresServer) -> None:
    books = database.database(BOOKS)
    with books.transaction(write=True) as transaction:
        transaction.run(BOOK.insert(id=1, title="one"))

    def write_two() -> None:
        with books.transaction(write=True) as transaction:
            transaction.run(BOOK.insert(id=2, title="secret"))
            transaction.run(BOOK.insert(id=1, title="secret"))

    with pytest.raises(BooksError, match="cannot be written") as raised:
        write_two()
    assert "secret" not in str(raised.value)
    with books.transaction(write=False) as transaction:
        assert transaction.run(BOOK.select(BOOK.c.id)) == [(1,)]


def test_who_writes_for_too_long_is_not_waited_for(database: PostgresServer, postgres: PostgresProcess) -> None:
    with database.database(BOOKS).transaction(write=True) as transaction:
        server = connect(postgres.url)
        impatient = server.database(BOOKS, timeout=0.1)
        said = r"in use by others for 0\.1 seconds, and nothing has changed"
        with pytest.raises(BooksError, match=said), impatient.transaction(write=True):
            pass
        transaction.run(BOOK.insert(id=1, title="one"))
    with impatient.transaction(write=False) as transaction:
        assert transaction.run(BOOK.select(BOOK.c.id)) == [(1,)]
    server.close()


class TestLocks:
    @pytest.fixture(autouse=True)
    def hasty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("model.listener._PATIENCE", 0.1)
        monkeypatch.setattr("model.listener._WAIT", 0.02)

    @pytest.fixture
    def held(self, postgres: PostgresProcess) -> Iterator[PostgresServer]:
        server = connect(postgres.url)
        server.listen([Lock(1, 16, "other kind", shared=True), Lock(2, 0, "zero"), Lock(2, 1, "one")])
        yield server
        server.close()

    @pytest.mark.parametrize(
        ("locks", "refused"),
        [
            ([Lock(2, 1, "taken")], True),
            ([Lock(2, 2, "taken")], False),
            ([Lock(1, 16, "taken", shared=True), Lock(2, 2, "taken")], False),
            ([Lock(1, 8, "taken", shared=True)], True),
        ],
    )
    def test_are_had_by_one(
        self, held: PostgresServer, postgres: PostgresProcess, locks: list[Lock], refused: bool
    ) -> None:
        server = connect(postgres.url)
        if refused:
            with pytest.raises(HeldError, match="taken"):
                server.listen(locks)
        else:
            server.listen(locks)
        server.close()

    def test_are_free_again_when_who_had_them_is_gone(self, held: PostgresServer, postgres: PostgresProcess) -> None:
        held.close()
        server = connect(postgres.url)
        server.listen([Lock(2, 1, "taken")])
        server.close()

    def test_are_taken_again_after_a_loss_or_it_is_told(
        self, postgres: PostgresProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("model.listener._LONG_PATIENCE", 0.1)
        lost: list[str] = []
        server = connect(postgres.url)
        server.listen([Lock(2, 1, "somebody has it")], on_loss=lost.append)
        first = server.state(0)
        cut(postgres)
        until(lambda: server.state(0) not in (None, first))
        assert lost == []
        with psycopg.connect(postgres.url) as thief:
            cut(postgres)
            thief.execute("SELECT pg_advisory_lock(2, 1)")
            until(lambda: lost)
        assert lost == ["somebody has it"]
        server.close()


def test_turns_are_taken_with_a_pause_between_them(postgres: PostgresProcess) -> None:
    begin, order = time.monotonic(), list[float]()
    for _ in range(3):
        connect(postgres.url).take_turns(7, 0.1)
        order.append(time.monotonic() - begin)
    assert order[1] >= 0.1
    assert order[2] >= 0.2
