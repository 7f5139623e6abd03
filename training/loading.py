"""TensorFlow, loaded as it serves small networks best."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # its notes on processors and CUDA mean nothing to an admin
    # oneDNN's products make a step an eighth faster, also compiled ones, on processors where TensorFlow leaves it off.
    "TF_ENABLE_ONEDNN_OPTS": "1",
}
"""Environment variables that it reads when it is imported; those that a person has set stand."""


def load_tensorflow() -> None:
    """Import TensorFlow with `SETTINGS`, without what it has to tell its developers; nothing where it is loaded."""
    if "tensorflow" in sys.modules:
        return  # it would not see them, but processes that are started from here would
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _nothing_on_stderr():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _nothing_on_stderr() -> Iterator[None]:
    """Silence also what is written from C++, which `contextlib.redirect_stderr` does not reach."""
    try:
        saved = os.dup(2)
    except OSError:  # there is none
        yield
        return
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
