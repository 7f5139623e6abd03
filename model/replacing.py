"""A file takes the place of another in one step: whoever reads finds the old one or the new one."""

import os
import time
from pathlib import Path

_IS_WINDOWS = os.name == "nt"
_PATIENCE = 5.0  # seconds


def replace(source: Path, target: Path) -> None:
    """As `os.replace`, but patient on Windows, which refuses while another process reads the target.

    Raises:
        OSError: it cannot be done.
    """
    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            os.replace(source, target)
        except PermissionError:
            if not _IS_WINDOWS or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return
