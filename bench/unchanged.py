"""Measures `up` with no change on 1 and 4 servers, beside programs with as many resources that do nothing."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench import results, stacks
from bench.results import Times
from tests.stack import Stack

PROJECT = Path(__file__).with_name("minimal")
SERVERS = (1, 4)
# Counts the SSH logins on a server.
LOGINS = "journalctl --unit=ssh --output=cat --no-pager --grep='^Accepted ' | wc -l\n"


def measure(runs: int) -> None:
    """Times all four ``runs`` times, in turn, and counts the logins on the first server meanwhile."""
    with ExitStack() as opened:
        gantry = {number: opened.enter_context(stacks.stack(f"same-{number}", servers=number)) for number in SERVERS}
        for stack in gantry.values():
            stack.up()
        resources = {number: resources_of(stack) for number, stack in gantry.items()}
        minimal = {number: _minimal(opened, number, resources[number]) for number in SERVERS}
        before = int(gantry[1].script(LOGINS))
        times = {name: Times() for number in SERVERS for name in (f"up {number}", f"minimal {number}")}
        for _ in range(runs):
            for number in SERVERS:
                times[f"up {number}"].time(gantry[number].up)
                times[f"minimal {number}"].time(minimal[number].up)
        # The second count is a login, too.
        logins = int(gantry[1].script(LOGINS)) - before - 1
    counts = {f"resources {number}": sum(by_package.values()) for number, by_package in resources.items()}
    results.save("unchanged", {**times, **counts, "logins": logins})


def resources_of(stack: Stack) -> Counter[str]:
    """The number of resources by package, without the stack itself and its providers."""
    exported = json.loads(stack.pulumi("stack", "export").stdout)
    packages = [resource["type"].partition(":")[0] for resource in exported["deployment"]["resources"]]
    return Counter(package for package in packages if package != "pulumi")


def _minimal(opened: ExitStack, number: int, counts: Counter[str]) -> Stack:
    folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="gantry-bench-")))
    settings = {"components": counts["gantry"], "dynamic": counts["pulumi-python"], "commands": counts["command"]}
    if sum(settings.values()) != sum(counts.values()):
        raise SystemExit(f"a stack has kinds of resources that {PROJECT} doesn't have: {counts}")
    stack = Stack(f"minimal-{number}", folder, dict(settings), project=PROJECT)
    opened.callback(stack.destroy)
    stack.up()
    return stack
