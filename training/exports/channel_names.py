"""What the names of chats and of the places they lie in tell."""

import posixpath
import re

from training.exports.file import ExportFile

_NSFW = re.compile(r"(?<![a-z])(?:nsfw|lewd|porn|hentai|adult)s?(?![a-z])|(?<!\d)18\s?\+", re.IGNORECASE)
_COPY = re.compile(r"(?: ?\(\d{1,3}\)| - Copy| copy)+$")


def sounds_nsfw(name: str | None) -> bool:
    """Whether a channel is named as not safe for work."""
    return bool(name and _NSFW.search(name))


def stem(export: ExportFile) -> str:
    """The file's name without its ending, and without the ` (1)` of a second download."""
    return _COPY.sub("", re.sub(r"\.[A-Za-z]{1,12}$", "", export.file_name))


def folder(export: ExportFile) -> str:
    """The name of what a file lies in: a folder, or the archive, without its ending."""
    if export.member is None:
        return export.path.absolute().parent.name
    return posixpath.basename(posixpath.dirname(export.member)) or _COPY.sub("", export.path.stem)
