"""What must not be said: a reply and its conversation in, the reason to reject it out."""

import re
from collections.abc import Sequence
from enum import StrEnum

from model.blocklist import Blocklist
from model.copies import CopyIndex
from model.dialogue import ME, Turn

_TOP_LEVEL = (
    "com net org edu gov io gg co me tv ly be app dev info xyz link site online shop uk de fr nl eu ru us ca au"
)


class Rejection(StrEnum):
    """Why a reply must not be said."""

    EMPTY = "empty"
    BLOCKED = "blocked word"
    COPY = "copy of the training data"
    ECHO = "repeats the conversation"
    CONTACT = "mention, link, address or number"


_CONTACTS = re.compile(
    rf"""
    @\w+                                                        # a mention, also of everyone
    | <[@\#:/]\S*>?                                             # half of one of Discord's tokens
    | [\w.+-]{{1,64}}@[\w-]{{1,64}}\.\w+                          # an e-mail address
    | \b(?:https?:|www\.)\S*                                    # a link
    | \b(?:[a-z0-9-]{{1,64}}\.){{1,8}}(?:{"|".join(_TOP_LEVEL.split())})\b\S*  # one without its beginning: a domain
    | \+?\d(?:[\s().-]*\d){{8,}}                                # the number of an account, a phone, a card
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What leads out of the chat or names somebody. A date or a clock time has fewer digits.

No part is looked for farther than it reaches in earnest: a text of any kind takes time in proportion to its length.
"""


_LONG_ECHO = 4
"""Words: "hello" may be answered with "hello"."""


def rejection(text: str, turns: Sequence[Turn], copies: CopyIndex, blocklist: Blocklist) -> Rejection | None:
    """Why a reply must not be said, or None if it may.

    Args:
        text: the reply, clean.
        turns: the conversation, oldest first; those of the bot have the speaker `ME`. Names, links and numbers in it
            may be said again.
        copies: of what single people said.
        blocklist: of what is never said.
    """
    if not text:
        return Rejection.EMPTY
    if blocklist.finds(text):
        return Rejection.BLOCKED
    heard = "\n".join(turn.text for turn in turns)
    said = heard.casefold()
    if any(found.casefold().rstrip(".,!?") not in said for found in _CONTACTS.findall(text)):
        return Rejection.CONTACT
    if _echoes(text, turns):
        return Rejection.ECHO
    if copies.has(text, heard):
        return Rejection.COPY
    return None


def _echoes(text: str, turns: Sequence[Turn]) -> bool:
    """Whether it says at length what was said last, or again what the bot said last."""
    words, own = _words(text), [turn.text for turn in turns if turn.speaker == ME][-1:]
    last = [turn.text for turn in turns[-1:]] if len(words) >= _LONG_ECHO else []
    return any(words == _words(each) for each in own + last)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold()) or [text]
