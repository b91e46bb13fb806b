"""The error that is meant for the operator."""

from __future__ import annotations


class ReleaseError(Exception):
    """Says what failed and why. The program prints it without a traceback and exits with status 1.

    ``advice`` says what to change. It is printed last, after the app's last lines, because people read the end.
    """

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message, self.advice = message, advice

    def __str__(self) -> str:
        return "\n".join(filter(None, (self.message, self.advice)))
