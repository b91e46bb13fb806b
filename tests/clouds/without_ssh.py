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


def started(stack: Stack, *words: str) -> subprocess.Popen[str]:
    """A command in a session of its own, to be killed with all its processes."""
    return subprocess.Popen(
        stack.command(*words), cwd=ROOT, env=stack.environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip


# DigitalOcean knows it as a property of the address.
ASSIGNMENT = "digitalocean:index/reservedIpAssignment:ReservedIpAssignment"


def ids(stack: Stack) -> set[str]:
    """Of what is in the cloud, as far as the state knows."""
    state = json.loads(stack.pulumi("stack", "export").stdout)["deployment"]
    clouds = ("aws:", "digitalocean:")
    found = [each for each in state.get("resources", []) if each["type"].startswith(clouds)]
    return {each["id"] for each in found if each["type"] != ASSIGNMENT}
