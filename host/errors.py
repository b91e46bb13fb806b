"""The error that is meant for the operator."""

from __future__ import annotations


class ReleaseError(Exception):
    """Says what failed and why. The program prints it without a traceback and exits with status 1."""
