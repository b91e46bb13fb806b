"""`up` with no change, on 1 and on 4 servers, beside programs that do nothing with as many resources."""

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


def measure(runs: int) -> None:
    """All four in turn; and how often somebody logged in on the first server meanwhile."""
    with ExitStack() as opened:
        ours = {number: opened.enter_context(stacks.stack(f"same-{number}", servers=number)) for number in SERVERS}
        for stack in ours.values():
            stack.up()
        resources = {number: resources_of(stack) for number, stack in ours.items()}
        minimal = {number: _minimal(opened, number, resources[number]) for number in SERVERS}
        before = int(ours[1].script(LOGINS))
        times = {name: Times() for number in SERVERS for name in (f"up {number}", f"minimal {number}")}
        for _ in range(runs):
            for number in SERVERS:
                times[f"up {number}"].time(ours[number].up)
                times[f"minimal {number}"].time(minimal[number].up)
        # One of them is the question itself.
        logins = int(ours[1].script(LOGINS)) - before - 1
    counts = {f"resources {number}": sum(found.values()) for number, found in resources.items()}
    results.keep("unchanged", {**times, **counts, "logins": logins})


LOGINS = "journalctl --unit=ssh --output=cat --no-pager --grep='^Accepted ' | wc -l\n"


def resources_of(stack: Stack) -> Counter[str]:
    """How many of each kind; not counting the stack itself and its providers."""
    exported = json.loads(stack.pulumi("stack", "export").stdout)
    kinds = [resource["type"].partition(":")[0] for resource in exported["deployment"]["resources"]]
    return Counter(kind for kind in kinds if kind != "pulumi")


def _minimal(opened: ExitStack, number: int, counts: Counter[str]) -> Stack:
    folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="gantry-bench-")))
    given = {"components": counts["gantry"], "dynamic": counts["pulumi-python"], "commands": counts["command"]}
    if sum(given.values()) != sum(counts.values()):
        raise SystemExit(f"a stack has kinds of resources that {PROJECT} doesn't: {counts}")
    stack = Stack(f"minimal-{number}", folder, dict(given), project=PROJECT)
    opened.callback(stack.destroy)
    stack.up()
    return stack
