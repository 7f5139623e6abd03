"""Ids for messages of formats that have none: the same message gets the same id in every export of its channel."""

from collections import OrderedDict
from hashlib import blake2b

_MAX_COUNTS = 4096


class StableIds:
    """Names the messages of one export, in bounded memory. Feed it all of them in order."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()

    def __call__(self, author: str, time: str, text: str) -> str:
        """An id made of who says what when, and of how often that was said before, at the same tick of the clock."""
        content = "\0".join((author, time, text)).encode("utf-8", "surrogatepass")
        key = f"h{blake2b(content, digest_size=10).hexdigest()}"
        count = self._counts.pop(key, 0)
        if len(self._counts) >= _MAX_COUNTS:  # equal ones come close together, so that the oldest can be forgotten
            self._counts.popitem(last=False)
        self._counts[key] = count + 1
        return f"{key}-{count}" if count else key
