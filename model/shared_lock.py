"""What only one of several processes may have, wherever they run; `model.listener` has PostgreSQL see to it."""

from dataclasses import dataclass

from model import ChinwagError


class HeldError(ChinwagError):
    """Another process has what only one may have; the message says which and what to do."""


@dataclass(frozen=True)
class Lock:
    """What only one process may have, or, if it is shared, only those of a kind.

    Attributes:
        kind, number: PostgreSQL's numbers for it, of 31 bits.
        held: said if another process has it.
        shared: whether others may have the same number, but none another number of this kind.
    """

    kind: int
    number: int
    held: str
    shared: bool = False
