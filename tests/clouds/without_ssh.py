"""Runs a stack without its commands on servers. The rest needs no machine and is fast."""

from __future__ import annotations

from tests.stack import Stack

# Options that leave out the commands on servers and all that depends on them.
WITHOUT_SSH = ("--exclude", "**command:remote**", "--exclude-dependents")


def up(stack: Stack) -> None:
    stack.up(*WITHOUT_SSH)


def expect_no_changes(stack: Stack) -> None:
    """Fail if the next `up` would change something."""
    stack.pulumi("preview", "--expect-no-changes", *WITHOUT_SSH)
