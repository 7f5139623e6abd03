"""Who may not be learned from: who opted out, and who asked to be forgotten.

The bot and the command line write it, training obeys it. It is a `Database` in the models folder. A missing file means
that nobody asked; a file that cannot be read, or of which a part was lost, is an error, never "nobody".
"""

import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from model import ChinwagError
from model.database import Database, Schema

FILE_NAME = "consent.sqlite"
"""The file in the models folder."""

OPTED_OUT, FORGOTTEN = "opted out", "forgotten"

EVERYBODY = "*"
"""The account that stands for those whose requests were lost; who opts it in says that nobody is missing."""


class ConsentError(ChinwagError):
    """It cannot be told, or recorded, who may be learned from; the message says why and what to do."""


SCHEMA = Schema(
    application=0x4368574E,  # "ChWN"
    steps=("CREATE TABLE request (id TEXT PRIMARY KEY, kind TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID",),
    error=ConsentError,
    holds="says who opted out",
    loss=f"INSERT INTO request VALUES ('{EVERYBODY}', '{OPTED_OUT}', strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now'))",
)


def consent_key(account: str) -> str:
    """How an account is named in the file: ids and names differ neither by case nor by spaces around them."""
    return unicodedata.normalize("NFKC", account).strip().casefold()


class _Known(NamedTuple):
    """What was read when a file was in a state: of each key the kind of its request, and when it was made."""

    state: tuple[int, ...] | None
    requests: dict[str, tuple[str, datetime]]
    keys: frozenset[str]


class Consent:
    """The requests of one models folder, which threads and processes share."""

    def __init__(self, path: Path, *, timeout: float = 10.0) -> None:
        """Read nothing yet; the file need not exist.

        Args:
            path: the file itself.
            timeout: how many seconds to wait while another process writes.
        """
        self.database = Database(path, SCHEMA, timeout=timeout)
        self._known = _Known(None, {}, frozenset())

    @classmethod
    def open(cls, path: Path, *, timeout: float = 10.0) -> "Consent":
        """The same, but see first that it can be read.

        Raises:
            ConsentError: it cannot be read, or a part of it was lost.
        """
        consent = cls(path, timeout=timeout)
        consent.excluded()
        return consent

    def opt_out(self, account: str) -> None:
        """Learn nothing of this account from now on; one that is forgotten stays so."""
        self._record(account, OPTED_OUT, "ON CONFLICT DO NOTHING")

    def forget(self, account: str) -> None:
        """Learn nothing of this account, and note that models trained before should be replaced."""
        self._record(account, FORGOTTEN, "ON CONFLICT DO UPDATE SET kind = excluded.kind, at = excluded.at")

    def opt_in(self, account: str) -> None:
        """Take back what the account asked for, whichever it was."""
        with self.database.transaction(write=True) as connection:
            connection.execute("DELETE FROM request WHERE id = ?", (self._key(account),))

    def excluded(self) -> frozenset[str]:
        """The keys (`consent_key`) of all who may not be learned from.

        Raises:
            ConsentError: it cannot be read, or a part of it was lost: then it may be anybody.
        """
        known = self._read()
        if EVERYBODY in known.requests:
            _, at = known.requests[EVERYBODY]
            raise ConsentError(
                f"A part of {self.database.path}, which says who opted out, was lost on {at:%d %B %Y}, so that nobody "
                "is read as context or learned from: put back a copy, or, if nobody is missing, run "
                f"`chinwag optin '{EVERYBODY}'`."
            )
        return known.keys

    def forgotten(self) -> dict[str, datetime]:
        """The keys of those who asked to be forgotten, and when: a model trained before may still know them."""
        return {key: at for key, (kind, at) in self._read().requests.items() if kind == FORGOTTEN}

    def _read(self) -> "_Known":
        known, state = self._known, self.database.state()
        if state is None or state != known.state:
            requests = {}
            if self.database.path.exists():
                with self.database.transaction(write=False) as connection:
                    rows = connection.execute("SELECT id, kind, at FROM request").fetchall()
                    requests = {key: (kind, datetime.fromisoformat(at)) for key, kind, at in rows}
            self._known = known = _Known(state, requests, frozenset(requests))
        return known

    def _record(self, account: str, kind: str, on_conflict: str) -> None:
        row = (self._key(account), kind, datetime.now(UTC).isoformat(timespec="seconds"))
        with self.database.transaction(write=True) as connection:
            connection.execute(f"INSERT INTO request VALUES (?, ?, ?) {on_conflict}", row)

    def _key(self, account: str) -> str:
        key = consent_key(account)
        if not key:
            raise ConsentError(
                "An account is named by its id or, where there are no ids, by its name; this one is empty."
            )
        return key
