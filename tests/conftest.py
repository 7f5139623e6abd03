"""Settings of all tests."""

from hypothesis import settings

# The same examples in every run, however slow the machine: a red run is red again, and a green one green.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
