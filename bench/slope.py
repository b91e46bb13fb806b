"""`preview` and `up` with no change on 1, 10 and 50 servers, beside programs that only register the same resources.

AWS is simulated, and commands on servers only count as done: what is measured is the engine's work and the program's.
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

PROJECT = Path(__file__).with_name("alike")
DEBUG = "PULUMI_DEBUG_PROVIDERS"
SERVERS = (1, 10, 50)
COMMANDS = {"preview": ("preview",), "up": ("up", "--yes", "--skip-preview")}
PROGRAMS = ("ours", "alike")
UNITS = {"seconds": "by the clock", "busy": "of a processor"}
# The state is written after each step, and that of 50 servers is large. What is measured writes it as ever.
WITHOUT_CHECKPOINTS = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
# Whoever logs in by himself, in place of the command plugin, does it with this program.
WITNESS = """#!/bin/sh
echo "$@" >> {log}
exit 255
"""


@dataclass
class Runs:
    """How long each took, and for how long it kept a processor busy, which says more where there is other work."""

    seconds: list[float] = field(default_factory=list[float])
    busy: list[float] = field(default_factory=list[float])

    def time(self, stack: Stack, words: tuple[str, ...]) -> None:
        start, before = time.monotonic(), _busy()
        stack.pulumi(*words, "--expect-no-changes")
        self.seconds.append(round(time.monotonic() - start, 3))
        self.busy.append(round(_busy() - before, 3))


def _busy() -> float:
    """Of all processes that have ended: the engine's, the program's, the plugins'."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(runs: int) -> None:
    """All in turn; and what was done in the cloud or asked of servers meanwhile, which is nothing."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="gantry-bench-")))
        cloud = opened.enter_context(simulated_cloud("aws", folder))
        plugin, provider = opened.enter_context(serve_simulated_plugin())
        log = folder / "ssh.log"
        variables = {**_witnessed(folder, log), DEBUG: f"{os.environ[DEBUG]},{provider}"}
        stacks = {number: side_by_side(folder / str(number), number, variables) for number in SERVERS}
        before = len(cloud.calls) + len(plugin.calls)
        found = {(number, command): (Runs(), Runs()) for number in SERVERS for command in COMMANDS}
        for _, ((number, command), both) in itertools.product(range(runs), found.items()):
            for times, stack in zip(both, stacks[number], strict=True):
                times.time(stack, COMMANDS[command])
        done = len(cloud.calls) + len(plugin.calls) - before
        logins = len(log.read_text().splitlines()) if log.exists() else 0
        sizes = [_size(number, stacks[number][0], found) for number in SERVERS]
    results.keep("slope", {"done": done, "logins": logins, "sizes": sizes})
    print("\n".join(table()))


def _witnessed(folder: Path, log: Path) -> dict[str, str]:
    """The variables with which an ssh is found that only writes down that it was started."""
    program = folder / "bin/ssh"
    program.parent.mkdir()
    program.write_text(WITNESS.format(log=log))
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}


def side_by_side(folder: Path, number: int, variables: Mapping[str, str]) -> tuple[Stack, Stack]:
    """Gantry's stack, and one with the same name, the same resources and a program that only registers them."""
    folder.mkdir()
    ours = new_stack("aws", folder / "ours", servers=number, balancer=True)
    ours.variables = {**variables, **WITHOUT_CHECKPOINTS}
    ours.up()
    alike = _alike(folder, ours)
    if resources_of(ours) != resources_of(alike):
        raise SystemExit(f"{PROJECT} has other resources: {resources_of(alike)}, not {resources_of(ours)}")
    ours.variables = alike.variables = dict(variables)
    return ours, alike


def _alike(folder: Path, ours: Stack) -> Stack:
    """It begins with a copy of the state, so that the cloud isn't asked for a second one of anything."""
    exported = json.loads(ours.pulumi("stack", "export", "--show-secrets").stdout)
    state, given = folder / "state.json", folder / "resources.json"
    resources = exported["deployment"]["resources"]
    for each in resources:
        # The other program has none of them, and their absence would be a change.
        for key in ("replacementTrigger", "resourceHooks"):
            each.pop(key, None)
    state.write_text(json.dumps(exported))
    given.write_text(json.dumps([each for each in resources if registered(each)]))
    (folder / "alike").mkdir()
    alike = Stack(ours.name, folder / "alike", {"resources": str(given), "watch": None}, project=PROJECT)
    alike.variables = ours.variables
    alike.pulumi("stack", "import", "--file", str(state))
    alike.up()
    return alike


def registered(resource: Mapping[str, Any]) -> bool:
    """Whether a program registers it, and not the engine by itself."""
    kind, name = resource["type"], resource["urn"].rpartition("::")[2]
    return kind != "pulumi:pulumi:Stack" and not (kind.startswith("pulumi:providers:") and name.startswith("default"))


def _size(number: int, stack: Stack, found: Mapping[tuple[int, str], tuple[Runs, Runs]]) -> dict[str, Any]:
    size: dict[str, Any] = {"servers": number, "resources": sum(resources_of(stack).values())}
    for command in COMMANDS:
        size[command] = {program: vars(runs) for program, runs in zip(PROGRAMS, found[number, command], strict=True)}
    return size


def slope(sizes: list[dict[str, Any]], command: str, program: str, what: str = "seconds") -> float:
    """Milliseconds a resource, by least squares over the medians."""
    points = [(size["resources"], 1000 * median(size[command][program][what])) for size in sizes]
    return linear_regression(*zip(*points, strict=True)).slope


def ratio(size: dict[str, Any], command: str, what: str = "seconds") -> float:
    """Turn by turn: what else the computer does changes from one to the next."""
    both = [size[command][program][what] for program in PROGRAMS]
    return median(ours / alike for ours, alike in zip(*both, strict=True))


def table() -> list[str]:
    """A row for each command and size, and the slopes under them."""
    found = results.kept("slope")
    if not found:
        raise SystemExit("slope was not measured yet: make bench ARGS=slope")
    sizes = found["sizes"]
    rows = [
        "| command | servers | resources | Gantry, s | minimal, s | ratio | Gantry, busy s | minimal, busy s | ratio |",
        "|" + " --- |" * 9,
    ]
    for command in COMMANDS:
        for size in sizes:
            cells = [f"`{command}`", str(size["servers"]), str(size["resources"])]
            for what in UNITS:
                cells += [f"{median(size[command][program][what]):.2f}" for program in PROGRAMS]
                cells.append(f"{ratio(size, command, what):.2f}")
            rows.append(f"| {' | '.join(cells)} |")
        slopes = [f"{slope(sizes, command, program, what):.1f}" for what in UNITS for program in PROGRAMS]
        rows.append("| `{}` | ms a resource | | {} | {} | | {} | {} | |".format(command, *slopes))
    return rows
