"""Takes over what is in the files of a models folder into the database that several processes share, and back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bot.feedback import EXCHANGES, JUDGEMENTS
from bot.guild_settings import GUILDS
from bot.stores import Stores
from model.bundle import ModelFormatError
from model.consent import FORGOTTEN, REQUESTS
from model.database import Database, Row, Table, Transaction
from model.library import COMMON, FolderLibrary, SharedLibrary, SharedModels

if TYPE_CHECKING:
    from model.postgres import PostgresServer

_FILES_OF_SERVERS = "guilds"


class _Kind(NamedTuple):
    """Rows of a table.

    Attributes:
        name: what they are, for the user.
        table: which.
        columns: of the table, the first ones of which tell rows apart.
        keys: how many those are.
        stays: whether a row that is there stays as it is, though another one comes.
    """

    name: str
    table: Table
    columns: tuple[str, ...]
    keys: int
    stays: Callable[[Row], bool] = lambda row: False


_CONSENT = (_Kind("opt-outs", REQUESTS, ("id", "kind", "at"), 1, lambda row: row[1] == FORGOTTEN),)
_SETTINGS = (_Kind("servers with settings", GUILDS, ("id", "settings"), 1),)
_FEEDBACK = (
    _Kind("exchanges that were voted on", EXCHANGES, ("message", "guild", "at", "turns", "reply"), 1),
    _Kind("votes", JUDGEMENTS, ("message", "member", "value"), 2),
)


def to_database(folder: Path, server: "PostgresServer") -> Iterator[str]:
    """Take all over from a models folder.

    What is there stays where it was; what is in the database alone stays too. Done again, it changes nothing.

    Returns:
        What was done, a sentence at a time.

    Raises:
        ChinwagError: a file or the database cannot be used; what was told before is done.
    """
    yield from _take_over(Stores.open(folder), Stores.open(folder, server))
    models = SharedModels(server)
    for guild in (COMMON, *_guilds(folder)):
        here, there = FolderLibrary(_folder(folder, guild)), models.of(guild)
        yield from _models_to_database(_folder(folder, guild), here, there, _whose(guild))


def to_files(folder: Path, server: "PostgresServer") -> Iterator[str]:
    """Take all over into a models folder; as `to_database` otherwise."""
    yield from _take_over(Stores.open(folder, server), Stores.open(folder))
    models = SharedModels(server)
    for guild in models.guilds():
        here, there, new = FolderLibrary(_folder(folder, guild)), models.of(guild), 0
        for name in there.names():
            if name not in here.names():
                models.fetch(guild, name, _folder(folder, guild))
                new += 1
        here.make_live(there.live())
        yield f"{_whose(guild)}: {new} models taken over, {len(here.names()) - new} were there."


def _models_to_database(folder: Path, here: FolderLibrary, there: SharedLibrary, whose: str) -> Iterator[str]:
    new, known = 0, there.names()
    for name in here.names():
        if name in known:
            continue
        try:
            there.add(folder / name, live=False)
            new += 1
        except ModelFormatError as error:  # one that nobody can use is no reason to stop
            yield f"{whose}: not taken over: {error}"
    if (live := here.live()) is not None and live in there.names():
        there.make_live(live)
    if new or known:
        yield f"{whose}: {new} models taken over, {len(known)} were there."


def _take_over(source: Stores, target: Stores) -> Iterator[str]:
    for kinds, (old, new) in (
        (_CONSENT, (source.consent.database, target.consent.database)),
        (_SETTINGS, (source.settings.database, target.settings.database)),
        (_FEEDBACK, (source.feedback.database, target.feedback.database)),
    ):
        yield from _copy(kinds, old, new)


def _copy(kinds: tuple[_Kind, ...], source: Database, target: Database) -> list[str]:
    """Copy all rows at once, or none."""
    if not source.exists():
        return [f"{kind.name}: there are none." for kind in kinds]
    with source.transaction(write=False) as transaction:
        rows = {kind: _rows(transaction, kind) for kind in kinds}
    with target.transaction(write=True) as transaction:
        return [_put(transaction, kind, rows[kind]) for kind in kinds]


def _rows(transaction: Transaction, kind: _Kind) -> dict[Row, Row]:
    columns = [getattr(kind.table.c, name) for name in kind.columns]
    return {row[: kind.keys]: tuple(row) for row in transaction.run(kind.table.select(*columns))}


def _put(transaction: Transaction, kind: _Kind, rows: dict[Row, Row]) -> str:
    there = _rows(transaction, kind)
    new = {key: row for key, row in rows.items() if key not in there}
    changed = {
        key: row for key, row in rows.items() if key in there and row != there[key] and not kind.stays(there[key])
    }
    for row in (*new.values(), *changed.values()):
        query = kind.table.insert(**dict(zip(kind.columns, row, strict=True)))
        keys, rest = kind.columns[: kind.keys], kind.columns[kind.keys :]
        transaction.run(query.on_conflict(conflict_target=[*keys], preserve=[*rest]))
    same, alone = len(rows) - len(new) - len(changed), len(there.keys() - rows.keys())
    return (
        f"{kind.name}: {len(new)} taken over, {len(changed)} put in place of others, {same} were there, {alone} more "
        "are there alone."
    )


def _guilds(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in (folder / _FILES_OF_SERVERS).glob("[0-9]*") if path.is_dir())


def _folder(folder: Path, guild: int) -> Path:
    return folder / _FILES_OF_SERVERS / str(guild) if guild else folder


def _whose(guild: int) -> str:
    return f"server {guild}" if guild else "all servers"
