"""Who may not be learned from: who opted out, and who asked to be forgotten.

The bot and the command line write it, training obeys it. It is a `Database` in the models folder. A missing file means
that nobody asked; a file that cannot be read is an error, never "nobody".
"""

import unicodedata
from datetime import UTC, datetime
from pathlib import Path

from model import ChinwagError
from model.database import Database

FILE_NAME = "consent.sqlite"
"""The file in the models folder."""

OPTED_OUT, FORGOTTEN = "opted out", "forgotten"

_APPLICATION_ID = 0x4368574E  # "ChWN"
_SCHEMA = "CREATE TABLE request (id TEXT PRIMARY KEY, kind TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID"


class ConsentError(ChinwagError):
    """It cannot be told, or recorded, who may be learned from; the message says why and what to do."""


def consent_key(account: str) -> str:
    """How an account is named in the file: ids and names differ neither by case nor by spaces around them."""
    return unicodedata.normalize("NFKC", account).strip().casefold()


class Consent:
    """The requests of one models folder. Every call opens the file anew, so that threads and processes can share it."""

    def __init__(self, path: Path, *, timeout: float = 10.0) -> None:
        self._database = Database(
            path,
            application=_APPLICATION_ID,
            schema=_SCHEMA,
            error=ConsentError,
            holds="says who opted out",
            timeout=timeout,
        )

    @classmethod
    def open(cls, path: Path, *, timeout: float = 10.0) -> "Consent":
        """Open the file, which need not exist yet.

        Args:
            path: the file itself.
            timeout: how many seconds to wait while another process writes.

        Raises:
            ConsentError: it cannot be read.
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
        with self._database.transaction(write=True) as connection:
            connection.execute("DELETE FROM request WHERE id = ?", (self._key(account),))

    def excluded(self) -> frozenset[str]:
        """The keys (`consent_key`) of all who may not be learned from."""
        return frozenset(self._requests(OPTED_OUT, FORGOTTEN))

    def forgotten(self) -> dict[str, datetime]:
        """The keys of those who asked to be forgotten, and when: a model trained before may still know them."""
        return self._requests(FORGOTTEN)

    def _requests(self, *kinds: str) -> dict[str, datetime]:
        if not self._database.path.exists():
            return {}
        with self._database.transaction(write=False) as connection:
            rows = connection.execute("SELECT id, kind, at FROM request").fetchall()
            return {key: datetime.fromisoformat(at) for key, kind, at in rows if kind in kinds}

    def _record(self, account: str, kind: str, on_conflict: str) -> None:
        row = (self._key(account), kind, datetime.now(UTC).isoformat(timespec="seconds"))
        with self._database.transaction(write=True) as connection:
            connection.execute(f"INSERT INTO request VALUES (?, ?, ?) {on_conflict}", row)

    def _key(self, account: str) -> str:
        key = consent_key(account)
        if not key:
            raise ConsentError(
                "An account is named by its id or, where there are no ids, by its name; this one is empty."
            )
        return key
