"""What became of the messages, for people and for programs to read."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What became of the messages: messages = kept + left out; turns = examples + skipped.

    Attributes:
        messages: read from the exports.
        kept: messages that are part of a turn.
        left_out: the other messages by reason.
        redacted: what was taken out of messages, by kind.
        turns: made of the kept messages.
        conversations: trees of turns.
        examples: turns that can be learned from.
        skipped: the other turns by reason.
    """

    messages: int = 0
    kept: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)
    turns: int = 0
    conversations: int = 0
    examples: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, int | dict[str, int]]:
        """All counts, reasons in the order of the alphabet, so that equal runs give equal files."""
        return {
            "messages": self.messages,
            "kept": self.kept,
            "left_out": dict(sorted(self.left_out.items())),
            "redacted": dict(sorted(self.redacted.items())),
            "turns": self.turns,
            "conversations": self.conversations,
            "examples": self.examples,
            "skipped": dict(sorted(self.skipped.items())),
        }

    def table(self) -> str:
        """The counts for people to read."""
        rows = [("messages read", self.messages)]
        rows += [(f"  left out: {reason}", count) for reason, count in sorted(self.left_out.items())]
        rows += [("  kept", self.kept)]
        rows += [(f"  taken out of them: {kind}", count) for kind, count in sorted(self.redacted.items())]
        rows += [("turns", self.turns), ("conversations", self.conversations)]
        rows += [(f"  skipped: {reason}", count) for reason, count in sorted(self.skipped.items())]
        rows += [("examples", self.examples)]
        return "\n".join(f"{name:<42}{count:>12,}" for name, count in rows)
