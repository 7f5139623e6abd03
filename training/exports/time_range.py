"""The times that messages can have."""

_END = 253_402_300_800.0  # of the year 9999, the last one that dates can have


def checked_time(seconds: float) -> float:
    """Seconds since the epoch as they are. Raises ValueError if no calendar has such a time, or if it is no number."""
    if not 0 <= seconds < _END:
        raise ValueError(f"{seconds} seconds since 1970 is no time")
    return float(seconds)
