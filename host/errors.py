"""The error that is meant for the operator."""

from __future__ import annotations


class ReleaseError(Exception):
    """Says what failed and why. The program prints it without a traceback and exits with status 1.

    ``outcome`` says what the server serves now, and ``advice`` what to change. They are printed last, after the app's
    last lines, because people read the end.
    """

    def __init__(self, message: str, advice: str = "", outcome: str = "") -> None:
        super().__init__(message)
        self.message, self.advice, self.outcome = message, advice, outcome

    def __str__(self) -> str:
        return "\n".join(filter(None, (self.message, self.outcome, self.advice)))
