"""Settings of all tests."""

from hypothesis import settings

# The same examples in every run: a red run is red again.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")
