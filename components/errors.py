"""Errors that a user can fix."""

from __future__ import annotations

import pulumi


class UserError(pulumi.RunError):
    """Ends the program with its text and no traceback. The text says what is wrong, the rule and the remedy."""
