"""The one error that a person is meant to read."""

from __future__ import annotations


class ReleaseError(Exception):
    """What failed and why; the program prints it and exits with 1."""
