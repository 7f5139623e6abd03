"""The models of a server of Discord: in its models folder, or in a database that several processes share.

In the database a model is one row: its head, its files, and the page about its training. A process that is to answer
with it has it in a folder of its own, where it is published as training publishes (`SharedModels.bring`).
"""

import io
import logging
import re
import shutil
import tarfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from model.bundle import (
    CURRENT,
    FILES,
    HEAD,
    TRAINING,
    Bundle,
    BundleFacts,
    ModelFormatError,
    adopt,
    bundles,
    live_bundle,
    make_live,
    parse_head,
    remove,
    report_of,
    staging,
)
from model.database import Schema, Table, Transaction, fn

if TYPE_CHECKING:
    from model.postgres import PostgresServer

logger = logging.getLogger(__name__)

COMMON = 0
"""Stands for all servers without a model of their own."""

TRAINS = 0x43685472  # "ChTr": the lock of who trains

_NAME = re.compile(r"[0-9]{8}-[0-9]{6}(-[0-9]+)?")
_CHUNK = 1 << 20  # bytes that are fetched at a time: a bot has little memory
_MOST = 900 << 20  # bytes of a row's column, of which PostgreSQL holds a little more
_PATIENCE = 600.0  # seconds for a model on its way
_REST = 30.0  # seconds after which one that could not be fetched is tried again

SCHEMA = Schema(
    application=0x43684D6F,  # "ChMo"
    steps=(
        """
        CREATE TABLE model (guild BIGINT NOT NULL, name TEXT NOT NULL, head TEXT NOT NULL, content BYTEA NOT NULL,
                            training BYTEA, page BYTEA, PRIMARY KEY (guild, name));
        ALTER TABLE model ALTER COLUMN content SET STORAGE EXTERNAL;
        ALTER TABLE model ALTER COLUMN training SET STORAGE EXTERNAL;
        CREATE TABLE live (guild BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL)
        """,
    ),
    error=ModelFormatError,
    holds="holds the models",
)

MODELS, LIVE = Table("model"), Table("live")


class Library(Protocol):
    """The models of one server.

    Each method raises `ModelFormatError` if that cannot be done.
    """

    def names(self) -> list[str]:
        """Of all models, the oldest first; they may be damaged."""
        ...

    def live(self) -> str | None:
        """The name of the one that answers; None if none of them does."""
        ...

    def facts(self, name: str) -> BundleFacts:
        """What a model says of itself."""
        ...

    def report(self, name: str) -> bytes | None:
        """The page about its training, if there is one."""
        ...

    def make_live(self, name: str | None) -> None:
        """Have a model answer; None for the common one."""
        ...

    def remove(self, name: str) -> None:
        """Delete a model, which must not be live."""
        ...


class FolderLibrary:
    """The models in a models folder."""

    def __init__(self, folder: Path) -> None:
        """It need not exist."""
        self._folder = folder

    def names(self) -> list[str]:
        """See `Library`."""
        return [path.name for path in bundles(self._folder)]

    def live(self) -> str | None:
        """See `Library`."""
        live = live_bundle(self._folder)
        return live.name if live.parent == self._folder else None

    def facts(self, name: str) -> BundleFacts:
        """See `Library`."""
        return Bundle.open(self._folder / name).facts

    def report(self, name: str) -> bytes | None:
        """See `Library`."""
        path = report_of(self._folder / name)
        return path.read_bytes() if path.is_file() else None

    def make_live(self, name: str | None) -> None:
        """See `Library`."""
        make_live(self._folder, name)

    def remove(self, name: str) -> None:
        """See `Library`."""
        remove(self._folder / name)


class SharedModels:
    """The models of all servers, in a database."""

    def __init__(self, server: "PostgresServer") -> None:
        """Read nothing yet."""
        self._server = server
        self._database = server.database(SCHEMA)
        self._known: tuple[tuple[int, ...] | None, dict[int, str]] = None, {}
        self._brought: dict[Path, str | None] = {}
        self._failed: dict[Path, tuple[str, float, str]] = {}
        self._lock = threading.Lock()

    def of(self, guild: int) -> "SharedLibrary":
        """Those of one server, or of all others (`COMMON`)."""
        return SharedLibrary(self, guild)

    def live(self, guild: int) -> str | None:
        """The name of the model that answers there, if there is one.

        Raises:
            ModelFormatError: it cannot be told.
        """
        known, state = self._known, self._database.state()
        if state is None or state != known[0]:
            names: dict[int, str] = {}
            if self._database.exists():
                with self._database.transaction(write=False) as transaction:
                    names = dict(transaction.run(LIVE.select(LIVE.c.guild, LIVE.c.name)))
            self._known = known = state, names
        return known[1].get(guild)

    def bring(self, guild: int, folder: Path, *, training: bool = False) -> None:
        """Have the model that answers in a server in a folder, as its live one.

        Args:
            guild: the server.
            folder: a models folder. Unless it is for training, the models there from before are deleted, but for the
                last one.
            training: whether training is to go on from it.

        Raises:
            ModelFormatError: it cannot be fetched or written; what was live in the folder still is.
        """
        if folder in self._brought and self._server.is_deaf:
            return  # whatever is live now, nobody could fetch it
        name = self.live(guild)
        if self._brought.get(folder, "") == name:
            return
        with self._lock:  # who comes later waits for the one who fetches
            if self._brought.get(folder, "") != name:
                self._bring(guild, name, folder, training=training)
                self._brought[folder] = name

    def _bring(self, guild: int, name: str | None, folder: Path, *, training: bool) -> None:
        if name is None:
            if (folder / CURRENT).exists():
                make_live(folder, None)
            return
        failed, until, why = self._failed.get(folder, ("", 0.0, ""))
        if name == failed and time.monotonic() < until:  # not at every message
            raise ModelFormatError(why)
        library = FolderLibrary(folder)
        try:
            before = library.live()
        except ModelFormatError:
            before = None
        try:
            if not _has(folder, name, training=training):
                self._fetch(guild, name, folder, training=training)
            elif before != name:
                make_live(folder, name)
        except ModelFormatError as error:
            self._failed[folder] = name, time.monotonic() + _REST, str(error)
            raise
        for other in library.names() if not training else []:
            if other not in (name, before):
                library.remove(other)

    def add(self, guild: int, directory: Path, *, live: bool) -> str:
        """Put a bundle into the database, with the page beside it.

        Args:
            guild: whose it is.
            directory: the bundle.
            live: whether it is to answer from now on.

        Returns:
            Its name there.

        Raises:
            ModelFormatError: it is damaged or too large, or the database cannot be written.
        """
        Bundle.open(directory, training=True)
        page = report_of(directory)
        row: dict[str, Any] = {
            "guild": guild,
            "head": (directory / HEAD).read_text(encoding="utf-8"),
            "content": _packed(directory),
            "training": (directory / TRAINING).read_bytes() if (directory / TRAINING).exists() else None,
            "page": page.read_bytes() if page.is_file() else None,
        }
        if max(len(row["content"]), len(row["training"] or b"")) > _MOST:
            raise ModelFormatError(
                f"The model in {directory} is too large for the database ({_MOST >> 20} MiB at most): train a smaller "
                "one."
            )
        with self._database.transaction(write=True) as transaction:
            name = _free_name(transaction, guild, directory)
            transaction.run(MODELS.insert(**row, name=name))
            if live:
                _point(transaction, guild, name)
        return name

    def guilds(self) -> list[int]:
        """All servers that have models."""
        if not self._database.exists():
            return []
        with self._database.transaction(write=False) as transaction:
            return sorted(guild for (guild,) in transaction.run(MODELS.select(MODELS.c.guild).distinct()))

    def fetch(self, guild: int, name: str, folder: Path) -> None:
        """Have a model with all that belongs to it in a folder, as its live one.

        Raises:
            ModelFormatError: it cannot be fetched or written.
        """
        self._fetch(guild, name, folder, training=True)
        page = self.of(guild).report(name)
        if page is not None:
            report_of(folder / name).write_bytes(page)

    def _fetch(self, guild: int, name: str, folder: Path, *, training: bool) -> None:
        with self._server.apart() as server, staging(folder) as staged:  # it may take a while
            packed = staged.with_name("content")
            with server.database(SCHEMA, timeout=_PATIENCE).transaction(write=False) as transaction:
                _copy(transaction, guild, name, "content", packed)
                if training:
                    _copy(transaction, guild, name, "training", staged / TRAINING)
            _unpack(packed, staged)
            packed.unlink()
            adopt(staged, name, training=training)
        logger.info("Fetched the model %s.", name)


class SharedLibrary:
    """The models of one server in a database."""

    def __init__(self, models: SharedModels, guild: int) -> None:
        """See `SharedModels.of`."""
        self._models, self._guild = models, guild
        self._database = models._database

    def names(self) -> list[str]:
        """See `Library`."""
        if not self._database.exists():
            return []
        query = MODELS.select(MODELS.c.name).where(MODELS.c.guild == self._guild).order_by(MODELS.c.name)
        with self._database.transaction(write=False) as transaction:
            return [name for (name,) in transaction.run(query)]

    def live(self) -> str | None:
        """See `Library`."""
        return self._models.live(self._guild)

    def facts(self, name: str) -> BundleFacts:
        """See `Library`."""
        head = self._column(name, "head")
        if head is None:
            raise ModelFormatError(f"There is no model {name} in the database any more: choose another one.")
        facts, _ = parse_head(head, name)
        return facts

    def report(self, name: str) -> bytes | None:
        """See `Library`."""
        page = self._column(name, "page")
        return None if page is None else bytes(page)

    def make_live(self, name: str | None) -> None:
        """See `Library`."""
        if name is not None:
            self.facts(name)
        with self._database.transaction(write=True) as transaction:
            _point(transaction, self._guild, name)

    def remove(self, name: str) -> None:
        """See `Library`."""
        with self._database.transaction(write=True) as transaction:
            live = transaction.run(LIVE.select(LIVE.c.name).where(LIVE.c.guild == self._guild))
            if live == [(name,)]:
                raise ModelFormatError(f"The model {name} is live: use another one first.")
            transaction.run(MODELS.delete().where(_is(self._guild, name)))

    def add(self, directory: Path, *, live: bool) -> str:
        """See `SharedModels.add`."""
        return self._models.add(self._guild, directory, live=live)

    def _column(self, name: str, column: str) -> Any:
        query = MODELS.select(getattr(MODELS.c, column)).where(_is(self._guild, name))
        with self._database.transaction(write=False) as transaction:
            rows = transaction.run(query)
        return rows[0][0] if rows else None


def _is(guild: int, name: str) -> Any:
    return (MODELS.c.guild == guild) & (MODELS.c.name == name)


def _point(transaction: Transaction, guild: int, name: str | None) -> None:
    if name is None:
        transaction.run(LIVE.delete().where(LIVE.c.guild == guild))
    else:
        row = LIVE.insert(guild=guild, name=name)
        transaction.run(row.on_conflict(conflict_target=["guild"], preserve=["name"]))


def _free_name(transaction: Transaction, guild: int, directory: Path) -> str:
    """As `model.bundle` names what is published, so that names sort by age."""
    stem = directory.name if _NAME.fullmatch(directory.name) else datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    taken = {name for (name,) in transaction.run(MODELS.select(MODELS.c.name).where(MODELS.c.guild == guild))}
    names = (stem if not number else f"{stem}-{number}" for number in range(1000))
    return next(name for name in names if name not in taken)


def _has(folder: Path, name: str, *, training: bool) -> bool:
    """Whether a folder has a model, whole."""
    try:
        Bundle.open(folder / name, training=training)
    except ModelFormatError:
        return False
    return not training or (folder / name / TRAINING).exists()


def _packed(directory: Path) -> bytes:
    """The files of a bundle that answers need, in one piece."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in (HEAD, *FILES):
            archive.add(directory / name, name, recursive=False)
    return packed.getvalue()


def _unpack(packed: Path, directory: Path) -> None:
    """Write the files of a bundle; nothing else that may be in the piece, and nowhere else."""
    try:
        with tarfile.open(packed, mode="r:") as archive:
            for name in (HEAD, *FILES):
                file = archive.extractfile(name)
                if file is None:
                    raise KeyError(name)
                with (directory / name).open("wb") as target:
                    shutil.copyfileobj(file, target)
    except (tarfile.TarError, KeyError) as error:
        raise ModelFormatError(f"A model in the database is damaged ({error}): publish it again.") from error


def _copy(transaction: Transaction, guild: int, name: str, column: str, path: Path) -> None:
    """Write what is in a column of a model to a file, bit by bit; nothing if there is nothing."""
    content = getattr(MODELS.c, column)
    rows = transaction.run(MODELS.select(fn.LENGTH(content)).where(_is(guild, name)))
    if not rows:
        raise ModelFormatError(f"There is no model {name} in the database any more: choose another one.")
    if rows[0][0] is None:
        return
    with path.open("wb") as file:
        for start in range(0, rows[0][0], _CHUNK):
            part = MODELS.select(fn.SUBSTR(content, start + 1, _CHUNK)).where(_is(guild, name))
            file.write(transaction.run(part)[0][0])
