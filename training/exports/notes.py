"""What reading met, in words that a terminal can show."""

from dataclasses import dataclass, field

from training.exports.message import Channel

_NAME_CHARACTERS = 300


@dataclass(slots=True)
class ReadNotes:
    """What reading exports met, for the one who started it.

    Attributes:
        files: exports found.
        skipped_files: files in folders and archives that are no known export.
        garbled_records: messages left out because they cannot be decoded.
        truncated_files: exports that end too early.
        warnings: plain sentences, a bounded number for each file.
        channels: what the exports say of their channels, by id.
    """

    files: int = 0
    skipped_files: int = 0
    garbled_records: int = 0
    truncated_files: int = 0
    warnings: list[str] = field(default_factory=list)
    channels: dict[str, Channel] = field(default_factory=dict)

    def warn(self, sentence: str) -> None:
        """Note something that the user should know."""
        self.warnings.append("".join(filter(str.isprintable, sentence)))


def shown(name: object) -> str:
    """A name for people: nothing in it that a terminal obeys, and no longer than anybody reads."""
    text = "".join(character if character.isprintable() else "\ufffd" for character in str(name))
    return text if len(text) <= _NAME_CHARACTERS else f"...{text[-_NAME_CHARACTERS:]}"
