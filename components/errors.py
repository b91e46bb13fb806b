"""What a user did that can't work."""

from __future__ import annotations

import pulumi


class UserError(pulumi.RunError):
    """Ends the program with its text alone, without a traceback: what is wrong, the rule, and the remedy."""
