"""Stacks whose machines are only written down: all but what is done over SSH, which is fast."""

from __future__ import annotations

import json
import subprocess

from tests.stack import ROOT, Stack

# Commands on servers, and what waits for them.
WITHOUT_SSH = ("--exclude", "**command:remote**", "--exclude-dependents")


def up(stack: Stack) -> str:
    return stack.up(*WITHOUT_SSH).stdout


def unchanged(stack: Stack) -> None:
    """Fails unless the stack is as it should be."""
    stack.pulumi("preview", "--expect-no-changes", *WITHOUT_SSH)


def started(stack: Stack) -> subprocess.Popen[str]:
    """An `up` in a session of its own, to be killed with all its processes."""
    command = stack.command("up", "--yes", "--skip-preview", *WITHOUT_SSH)
    return subprocess.Popen(
        command, cwd=ROOT, env=stack.environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip


def ids(stack: Stack) -> set[str]:
    """Of what is in the cloud, as far as the state knows."""
    state = json.loads(stack.pulumi("stack", "export").stdout)["deployment"]
    clouds = ("aws:", "digitalocean:")
    return {each["id"] for each in state.get("resources", []) if each["type"].startswith(clouds)}
