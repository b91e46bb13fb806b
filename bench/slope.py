"""Measures `preview` and `up` with no change on 1, 10 and 50 servers, beside programs that only register the resources.

AWS is simulated, and commands on servers aren't run, so the time is that of the engine and the program alone.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import linear_regression, median
from typing import Any

from bench import results
from bench.unchanged import resources_of
from tests.clouds.simulated_commands import serve_simulated_plugin
from tests.clouds.simulated_stack import new_stack, simulated_cloud
from tests.stack import Stack

PROJECT = Path(__file__).with_name("same_resources")
DEBUG = "PULUMI_DEBUG_PROVIDERS"
SERVERS = (1, 10, 50)
COMMANDS = {"preview": ("preview",), "up": ("up", "--yes", "--skip-preview")}
# The programs that are compared, by their keys in the saved results.
GANTRY, MINIMAL = "ours", "alike"
PROGRAMS = (GANTRY, MINIMAL)
UNITS = {"seconds": "by the clock", "busy": "of a processor"}
# The engine doesn't write the state after each step, because that takes long with 50 servers. Only the set-up runs so.
WITHOUT_CHECKPOINTS = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
# Everything that logs in without the command plugin starts `ssh`. This one only records that it was started.
RECORDING_SSH = """#!/bin/sh
echo "$@" >> {log}
exit 255
"""


@dataclass
class Runs:
    """The seconds of each run by the clock, and the seconds that processors were busy with it.

    The latter say more if the computer does other work meanwhile.
    """

    seconds: list[float] = field(default_factory=list[float])
    busy: list[float] = field(default_factory=list[float])

    def time(self, stack: Stack, words: tuple[str, ...]) -> None:
        start, before = time.monotonic(), _busy_seconds()
        stack.pulumi(*words, "--expect-no-changes")
        self.seconds.append(round(time.monotonic() - start, 3))
        self.busy.append(round(_busy_seconds() - before, 3))


def _busy_seconds() -> float:
    """The processor time of all child processes that have ended: the engine, the program and the plugins."""
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(runs: int) -> None:
    """Times all programs ``runs`` times, in turn. Meanwhile it counts cloud calls, commands and logins: 0 each."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="gantry-bench-")))
        cloud = opened.enter_context(simulated_cloud("aws", folder))
        plugin, provider = opened.enter_context(serve_simulated_plugin())
        log = folder / "ssh.log"
        variables = {**_with_recording_ssh(folder, log), DEBUG: f"{os.environ[DEBUG]},{provider}"}
        stacks = {number: side_by_side(folder / str(number), number, variables) for number in SERVERS}
        before = len(cloud.calls) + len(plugin.calls)
        measured = {(number, command): (Runs(), Runs()) for number in SERVERS for command in COMMANDS}
        for _, ((number, command), both) in itertools.product(range(runs), measured.items()):
            for times, stack in zip(both, stacks[number], strict=True):
                times.time(stack, COMMANDS[command])
        calls = len(cloud.calls) + len(plugin.calls) - before
        logins = len(log.read_text().splitlines()) if log.exists() else 0
        sizes = [_size(number, stacks[number][0], measured) for number in SERVERS]
    results.save("slope", {"done": calls, "logins": logins, "sizes": sizes})
    print("\n".join(table()))


def _with_recording_ssh(folder: Path, log: Path) -> dict[str, str]:
    """The variables that put the recording `ssh` first on PATH."""
    program = folder / "bin/ssh"
    program.parent.mkdir()
    program.write_text(RECORDING_SSH.format(log=log))
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}


def side_by_side(folder: Path, number: int, variables: Mapping[str, str]) -> tuple[Stack, Stack]:
    """Gantry's stack, and a minimal one: the same name and resources, and a program that only registers them."""
    folder.mkdir()
    gantry = new_stack("aws", folder / "gantry", servers=number, balancer=True)
    gantry.shell_env = {**variables, **WITHOUT_CHECKPOINTS}
    gantry.up()
    minimal = _minimal(folder, gantry)
    if resources_of(gantry) != resources_of(minimal):
        raise SystemExit(f"{PROJECT} has other resources: {resources_of(minimal)}, not {resources_of(gantry)}")
    gantry.shell_env = minimal.shell_env = dict(variables)
    return gantry, minimal


def _minimal(folder: Path, gantry: Stack) -> Stack:
    """The minimal stack. It begins with a copy of the state, so that nothing is created in the cloud again."""
    exported = json.loads(gantry.pulumi("stack", "export", "--show-secrets").stdout)
    state, resources_file = folder / "state.json", folder / "resources.json"
    resources = exported["deployment"]["resources"]
    for resource in resources:
        # The minimal program doesn't set them, and setting them no longer would be a change.
        for key in ("replacementTrigger", "resourceHooks"):
            resource.pop(key, None)
    state.write_text(json.dumps(exported))
    resources_file.write_text(json.dumps([resource for resource in resources if is_from_program(resource)]))
    (folder / "minimal").mkdir()
    settings: dict[str, object] = {"resources": str(resources_file), "watch": None}
    minimal = Stack(gantry.name, folder / "minimal", settings, project=PROJECT)
    minimal.shell_env = gantry.shell_env
    minimal.pulumi("stack", "import", "--file", str(state))
    minimal.up()
    return minimal


def is_from_program(resource: Mapping[str, Any]) -> bool:
    """Whether a program registers the resource. The engine adds the stack and default providers itself."""
    kind, name = resource["type"], resource["urn"].rpartition("::")[2]
    return kind != "pulumi:pulumi:Stack" and not (kind.startswith("pulumi:providers:") and name.startswith("default"))


def _size(number: int, stack: Stack, measured: Mapping[tuple[int, str], tuple[Runs, Runs]]) -> dict[str, Any]:
    size: dict[str, Any] = {"servers": number, "resources": sum(resources_of(stack).values())}
    for command in COMMANDS:
        size[command] = {program: vars(runs) for program, runs in zip(PROGRAMS, measured[number, command], strict=True)}
    return size


def slope(sizes: list[dict[str, Any]], command: str, *, program: str, unit: str = "seconds") -> float:
    """Milliseconds per resource, by least squares over the medians."""
    points = [(size["resources"], 1000 * median(size[command][program][unit])) for size in sizes]
    return linear_regression(*zip(*points, strict=True)).slope


def ratio(size: dict[str, Any], command: str, unit: str = "seconds") -> float:
    """The median ratio of Gantry to the minimal program.

    Each turn is compared by itself, because the computer's other work changes from turn to turn.
    """
    both = [size[command][program][unit] for program in PROGRAMS]
    return median(gantry / minimal for gantry, minimal in zip(*both, strict=True))


def table() -> list[str]:
    """A row for each command and size, and the slopes below them."""
    sizes = results.require("slope")["sizes"]
    rows = [
        "| command | servers | resources | Gantry, s | minimal, s | ratio | Gantry, busy s | minimal, busy s | ratio |",
        "|" + " --- |" * 9,
    ]
    for command in COMMANDS:
        for size in sizes:
            cells = [f"`{command}`", str(size["servers"]), str(size["resources"])]
            for unit in UNITS:
                cells += [f"{median(size[command][program][unit]):.2f}" for program in PROGRAMS]
                cells.append(f"{ratio(size, command, unit):.2f}")
            rows.append(f"| {' | '.join(cells)} |")
        slopes = [f"{slope(sizes, command, program=program, unit=unit):.1f}" for unit in UNITS for program in PROGRAMS]
        rows.append("| `{}` | ms a resource | | {} | {} | | {} | {} | |".format(command, *slopes))
    return rows
