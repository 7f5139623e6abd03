"""Which connections to Discord a process has: all that there are, or a part, while other processes have the rest."""

import re
from dataclasses import dataclass

from model.environment import ConfigError
from model.shared_lock import Lock

_PART = re.compile(r"([0-9]+)(?:-([0-9]+))?/([0-9]+)", re.ASCII)
_MOST = 100_000  # which is a hundred million servers

IDENTIFIES = 0x43684964  # "ChId": the lock of whose turn it is to begin a session

_NUMBER, _SHARD = 0x4368534E, 0x43685368  # "ChSN", "ChSh": kinds of locks
_OTHER_NUMBER = (
    "Another process of this bot divides the servers of Discord into another number of shards: give all processes the "
    "same number behind the /, and end that one first."
)
_HELD = (
    "Another process of this bot has shard {shard}: give each process a part of its own (--shards, or CHINWAG_SHARDS), "
    "or end that one."
)


@dataclass(frozen=True)
class Shards:
    """The connections of one process.

    Attributes:
        total: how many the bot has in all its processes; None for as many as Discord advises.
        first, last: those of this process, counted from 0; None for all.
    """

    total: int | None = 1
    first: int | None = None
    last: int | None = None

    @classmethod
    def parse(cls, value: str, setting: str) -> "Shards":
        """Read a number, "auto", or a part such as "0-15/64".

        Args:
            value: to read.
            setting: where it comes from, for the user.

        Raises:
            ConfigError: it is none of these.
        """
        if value.lower() == "auto":
            return cls(None)
        if value.isascii() and value.isdigit() and 0 < int(value) <= _MOST:
            return cls(int(value))
        found = _PART.fullmatch(value)
        if found is None:
            raise ConfigError(
                f'{setting} must be a number of connections, such as 4, "auto", or a part of them, such as 0-15/64, '
                f"not {value!r}."
            )
        first, last, total = int(found[1]), int(found[2] or found[1]), int(found[3])
        if not 0 < total <= _MOST:
            raise ConfigError(f"{setting} is {value}, but there are from 1 to {_MOST:,} shards.")
        if first > last:
            raise ConfigError(f"{setting} is {value}, which ends before it begins: write {last}-{first}/{total}.")
        if last >= total:
            raise ConfigError(
                f"{setting} is {value}, but shards are counted from 0: of {total} the last one is {total - 1}."
            )
        return cls(total, first, last)

    @property
    def is_part(self) -> bool:
        """Whether there are, or may be, other processes with other shards."""
        return self.first is not None

    @property
    def ids(self) -> list[int] | None:
        """Those of this process; None for all."""
        return None if self.first is None or self.last is None else list(range(self.first, self.last + 1))

    def locks(self) -> list[Lock]:
        """What no two processes of one bot may have; of how many shards Discord advises nobody knows yet."""
        ids = self.ids or range(self.total or 1)
        return [
            Lock(_NUMBER, self.total or 0, _OTHER_NUMBER, shared=True),
            *(Lock(_SHARD, shard, _HELD.format(shard=shard)) for shard in ids),
        ]


ONE = Shards()
"""One connection, which is all that a bot on fewer than a thousand servers needs."""
