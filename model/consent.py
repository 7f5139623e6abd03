"""Who may not be learned from: who opted out, and who asked to be forgotten.

The bot and the command line write it, training obeys it. It is a file in the models folder, or on a server. A missing
file means that nobody asked; one that cannot be read, or of which a part was lost, is an error, never "nobody".
"""

import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from model import ChinwagError
from model.database import Schema, Server, Table, open_database

FILE_NAME = "consent.sqlite"
"""The file in the models folder."""

OPTED_OUT, FORGOTTEN = "opted out", "forgotten"

EVERYBODY = "*"
"""The account that stands for those whose requests were lost; who opts it in says that nobody is missing."""


class ConsentError(ChinwagError):
    """It cannot be told, or recorded, who may be learned from; the message says why and what to do."""


SCHEMA = Schema(
    application=0x4368574E,  # "ChWN"
    steps=("CREATE TABLE request (id TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, at TEXT NOT NULL)",),
    error=ConsentError,
    holds="says who opted out",
    loss=f"INSERT INTO request VALUES ('{EVERYBODY}', '{OPTED_OUT}', strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now'))",
)

REQUESTS = Table("request")


def consent_key(account: str) -> str:
    """How an account is named in the file: ids and names differ neither by case nor by spaces around them."""
    return unicodedata.normalize("NFKC", account).strip().casefold()


class _Known(NamedTuple):
    """What was read when the database was in a state: of each key the kind of its request, and when it was made."""

    state: tuple[int, ...] | None
    requests: dict[str, tuple[str, datetime]]
    keys: frozenset[str]


class Consent:
    """The requests of one models folder or server, which threads and processes share."""

    def __init__(self, place: Path | Server, *, timeout: float = 10.0) -> None:
        """Read nothing yet; the file need not exist.

        Args:
            place: the file itself, or the server.
            timeout: how many seconds to wait while another process writes.
        """
        self.database = open_database(place, SCHEMA, timeout=timeout)
        self._known = _Known(None, {}, frozenset())

    @classmethod
    def open(cls, place: Path | Server, *, timeout: float = 10.0) -> "Consent":
        """The same, but see first that it can be read.

        Raises:
            ConsentError: it cannot be read, or a part of it was lost.
        """
        consent = cls(place, timeout=timeout)
        consent.excluded()
        return consent

    def opt_out(self, account: str) -> None:
        """Learn nothing of this account from now on; one that is forgotten stays so."""
        self._record(account, OPTED_OUT, action="ignore")

    def forget(self, account: str) -> None:
        """Learn nothing of this account, and note that models trained before should be replaced."""
        self._record(account, FORGOTTEN, conflict_target=["id"], preserve=["kind", "at"])

    def opt_in(self, account: str) -> None:
        """Take back what the account asked for, whichever it was."""
        with self.database.transaction(write=True) as transaction:
            transaction.run(REQUESTS.delete().where(REQUESTS.c.id == self._key(account)))

    def excluded(self) -> frozenset[str]:
        """The keys (`consent_key`) of all who may not be learned from.

        Raises:
            ConsentError: it cannot be read, or a part of it was lost: then it may be anybody.
        """
        known = self._read()
        if EVERYBODY in known.requests:
            _, at = known.requests[EVERYBODY]
            raise ConsentError(
                f"A part of {self.database.place}, which says who opted out, was lost on {at:%d %B %Y}, so that nobody "
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
            if self.database.exists():
                with self.database.transaction(write=False) as transaction:
                    rows = transaction.run(REQUESTS.select(REQUESTS.c.id, REQUESTS.c.kind, REQUESTS.c.at))
                    requests = {key: (kind, datetime.fromisoformat(at)) for key, kind, at in rows}
            self._known = known = _Known(state, requests, frozenset(requests))
        return known

    def _record(self, account: str, kind: str, **on_conflict: Any) -> None:
        row = {"id": self._key(account), "kind": kind, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        with self.database.transaction(write=True) as transaction:
            transaction.run(REQUESTS.insert(**row).on_conflict(**on_conflict))

    def _key(self, account: str) -> str:
        key = consent_key(account)
        if not key:
            raise ConsentError(
                "An account is named by its id or, where there are no ids, by its name; this one is empty."
            )
        return key
