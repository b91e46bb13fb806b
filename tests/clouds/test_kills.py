"""An `up` that is killed before or after a reply of the cloud: what the documented way back makes of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clouds import paper
from tests.clouds.faults import Call, CloudError
from tests.clouds.provider import Cloud
from tests.clouds.site import new_stack, simulated
from tests.stack import Stack

pytestmark = pytest.mark.engine

# All of them take some minutes: KILLS=30 python -m pytest tests/clouds/test_kills.py
POINTS = int(os.environ.get("KILLS", "2"))
# As many creates as the smaller shape has; and how many the engine does at once.
CALLS, PARALLEL = 11, 16


@pytest.fixture(params=["aws", "digitalocean"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    with simulated(request.param, None, tmp_path) as cloud:
        yield cloud


def points() -> list[tuple[str, int]]:
    """Stages and numbers of calls, spread over a run."""
    return [("after" if each % 2 else "before", 1 + each * CALLS // POINTS) for each in range(POINTS)]


@pytest.mark.parametrize(("stage", "number"), points())
def test_the_next_up_goes_on_where_one_was_killed(cloud: Cloud, stage: str, number: int, tmp_path: Path):
    # With a balancer: an address of a server's own moves only after commands over SSH.
    stack = new_stack(cloud.package, tmp_path / "stack", balancer=True)
    kill_up_at(cloud, stage, number, stack)
    mend_state(stack)
    stack.pulumi("cancel", "--yes")
    # An operator finds them by the stack's tags; a subnet among them would be in the way of the next one.
    unheard = cloud.sweep(paper.ids(stack))
    assert len(unheard) <= PARALLEL, f"the cloud has made {unheard} unheard"
    stack.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
    paper.up(stack)
    done = len(cloud.calls)
    paper.up(stack)
    assert cloud.calls[done:] == [], "the second up has changed something"
    assert [left for left in cloud.leftovers() if left.split()[-1] not in paper.ids(stack)] == []
    stack.destroy()
    assert cloud.leftovers() == []


def kill_up_at(cloud: Cloud, stage: str, number: int, stack: Stack) -> None:
    """SIGKILL for all of `up` at the create with that number, before the cloud does it or before the reply is heard."""
    seen = 0
    dead, lock = threading.Event(), threading.Lock()

    def witness(call: Call) -> None:
        nonlocal seen
        with lock:
            if dead.is_set() or (call.operation, call.stage) != ("create", stage):
                return
            seen += 1
            if seen < number:
                return
            paper.kill(run)
            run.wait()
            dead.set()
        if stage == "before":
            raise CloudError("its provider was killed too")

    cloud.faults.witness = witness
    run = paper.started(stack)
    run.wait(120)
    assert dead.is_set(), f"up ended before create {number}"
    cloud.faults.witness = lambda _call: None
    # What other threads of the cloud had begun, they finish.
    time.sleep(2)


def mend_state(stack: Stack) -> None:
    """The engine replaces a state in a file in one step, but writes the attributes beside it in place."""
    for attributes in (stack.folder / "state/.pulumi/stacks").rglob("*.attrs"):
        if attributes.stat().st_size == 0:
            attributes.unlink()
