"""What is said of a failure that is no fault of the program."""

import errno

from model import ChinwagError

OUT_OF_MEMORY = (
    "Memory ran out: end other programs, or choose a smaller --preset or fewer --workers; what was trained until the "
    "last checkpoint is kept, and the same command goes on with it."
)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def explain(error: BaseException) -> str | None:
    """One plain sentence with the remedy, or None for what is a fault."""
    if isinstance(error, ChinwagError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # which is TensorFlow's
        return OUT_OF_MEMORY
    if isinstance(error, ImportError) and "failed to map segment" in str(error):  # of a library, for want of memory
        return OUT_OF_MEMORY
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        place = f"{error.filename} cannot be written" if error.filename else "A file cannot be written"
        return f"{place} ({error.strerror}): make room there, and give the same command again."
    return None
