"""The last lines of a failed `make up`: what failed on which server, why, what serves now, and the next commands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from host import outcomes
from host.errors import ReleaseError
from host.reason import reason_of
from tools.setup import backend

_LABEL = re.compile(r"^(?:error: |Exception calling application: |\d+ errors? occurred:\s*\*?\s*)+")
# How the command plugin begins the error of a command: the cause, and the command, which is long. Its output follows.
_COMMAND = re.compile(r"^(?P<cause>[^\n]*?): running \"(?:[^\"\\]|\\.)*\":?\n", re.DOTALL)
# The cause if the command has ended by itself. Then its output says more.
_ENDED = "Process exited with status"
# How the engine begins the error of a hook that guards the app's data: components/data_guard.py names these hooks.
_DATA_HOOK = re.compile(r"^.*?before hook \"[^\"]*-app-data\" failed: (?:Exception calling application: )?", re.DOTALL)
# The resources that are steps on a server: its name and the step.
_STEP = re.compile(r"(?P<server>.+-(?:\d+|balancer))-(?P<step>[a-z-]+)")
_UPLOAD_TYPE = "command:remote:CopyToRemote"
_COMMAND_TYPES = ("command:remote:Command", _UPLOAD_TYPE, "pulumi-python:dynamic/gantry:Handover")
# SFTP has only this word for a full disk, and the same for some other causes. The offline plugin counts the bytes.
_UPLOAD_FAILURE = re.compile(r"\bFailure\b|SSH_FX_FAILURE|\d+ of \d+ bytes arrived")
_SHOWN_FAILURES = 3
# The error of the host program follows the line of a phase. The app's last lines may have errors of their own.
_AFTER_PHASE = re.compile(r"\n[a-z-]+ +\d+\.\d\d s(?:  [^\n]*)?\nerror: ")


class Diagnostic(NamedTuple):
    """An error or a warning of the engine, about a resource or, with an empty ``urn``, about the whole run."""

    urn: str
    severity: str
    text: str


@dataclass
class Failure:
    """A resource that failed. ``notes`` are results on other servers, after a rollback."""

    name: str
    type: str
    text: str
    notes: list[str] = field(default_factory=list[str])

    @property
    def server(self) -> str | None:
        """The server on which a step failed, or None if the failure isn't on a server."""
        match = _STEP.fullmatch(self.name)
        if self.type not in _COMMAND_TYPES or not match:
            return None
        return match["server"]

    def lines(self) -> list[str]:
        """The failure as text: what, why, and what serves now."""
        refusal, is_refused = _DATA_HOOK.subn("", self.text, count=1)
        if is_refused:
            return refusal.splitlines()
        command = _COMMAND.match(self.text)
        output = self.text[command.end() :] if command else self.text
        # The host program prints its phases before the error.
        after_phase = [match[0] for match in _AFTER_PHASE.finditer(f"\n{output}")]
        _, error, after = f"\n{output}".rpartition(after_phase[-1] if after_phase else "\nerror: ")
        if command and not error and _ENDED not in command["cause"]:
            after = command["cause"]
        message, outcome, advice = outcomes.split(after)
        if self.type == _UPLOAD_TYPE and _UPLOAD_FAILURE.search(message):
            advice = "The server couldn't write the upload. Its disk may have too little space: `df -h /` shows that."
        sentence = reason_of(ReleaseError(_LABEL.sub("", message), advice), {})
        return [f"{self.name}: {sentence}", *filter(None, [outcome]), *self.notes]


def failures(errors: Sequence[Diagnostic]) -> list[Failure]:
    """The resources that failed, in their order."""
    found: dict[str, Failure] = {}
    for error in errors:
        if error.severity == "error" and error.urn and "::pulumi:pulumi:Stack::" not in error.urn:
            type_, name = error.urn.split("::")[-2:]
            found.setdefault(error.urn, Failure(name=name, type=type_.rpartition("$")[2], text=error.text))
    for failure in found.values():
        # The rollback of the other servers reports its results as warnings.
        start = f"{failure.name} failed; "
        failure.notes += [error.text.removeprefix(start) for error in errors if error.text.startswith(start)]
    return list(found.values())


def summary(found: list[Failure], stack: str) -> str:
    """The text for people; empty if no resource failed. Then the engine's last lines are the error itself."""
    if not found:
        return ""
    lines = ["make up failed:"]
    for failure in found[:_SHOWN_FAILURES]:
        lines += [f"  {line}" for line in failure.lines()]
    if more := len(found) - _SHOWN_FAILURES:
        lines += [f"  and {more} more, shown above"] if more > 0 else []
    if server := next((failure.server for failure in found if failure.server), None):
        ssh = f"bin/ssh --stack {stack} {server}"
        lines += ["To look at the server:"]
        lines += [
            f"  {ssh} sudo gantry check",
            f"  {ssh} sudo gantry status",
            f"  {ssh} sudo journalctl --unit 'gantry-*@*' --lines 100",
        ]
    return "\n".join([*lines, "To go on, correct the cause and run:", f"  {backend.make('up', stack)}"])
