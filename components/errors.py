"""Errors that a user can fix."""

from __future__ import annotations

import pulumi


class UserError(pulumi.RunError):
    """Ends the program with its text and no traceback. The text says what is wrong, the rule and the remedy."""

    def __init__(self, text: str) -> None:
        # A file's name may have bytes that aren't UTF-8, which Pulumi couldn't show.
        super().__init__(text.encode("utf-8", "backslashreplace").decode())
