"""The times that messages can have."""

_END = 253_402_300_800.0  # of the year 9999, the last one that dates can have


def checked_time(seconds: float) -> float:
    """Seconds since the epoch as they are. Raises ValueError if no calendar has such a time, or if it is no number."""
    if not 0 <= seconds < _END:
        raise ValueError(f"{seconds} seconds since 1970 is no time")
    return float(seconds)


def checked_milliseconds(milliseconds: float) -> float:
    """Milliseconds since the epoch as seconds. Raises ValueError likewise."""
    if not 0 <= milliseconds < _END * 1000:  # before dividing, which numbers of any size do not bear
        raise ValueError("these milliseconds since 1970 are no time")
    return milliseconds / 1000
