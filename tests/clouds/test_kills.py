"""An `up` that is killed before or after a reply of the cloud: one command brings cloud and state back together."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clouds import paper
from tests.clouds.faults import Call, CloudError
from tests.clouds.provider import Cloud
from tests.clouds.site import LARGER, new_stack, simulated
from tests.clouds.test_shapes import SITE, with_zone
from tests.kills import kill_session
from tests.stack import Stack

pytestmark = pytest.mark.engine

# Thirty take half an hour: KILLS=30 python -m pytest tests/clouds/test_kills.py
POINTS = int(os.environ.get("KILLS", "2"))
# Those in a replacement are the hardest: what was made unheard has the old one's tags.
REPLACEMENTS = max(1, POINTS // 5)
SERVERS = 2


@pytest.fixture(params=["aws", "digitalocean"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    with simulated(request.param, None, tmp_path) as cloud:
        yield cloud


@dataclass
class Whole:
    """An `up` that nobody killed: how many creates it takes, and what there is of each kind then."""

    creates: int
    kinds: Counter[str]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Whole]:
    found: dict[str, Whole] = {}
    for name in LARGER:
        folder = tmp_path_factory.mktemp(name)
        with simulated(name, None, folder) as cloud:
            paper.up(site(cloud, folder))
            found[name] = Whole(sum(1 for call in cloud.calls if call[0] == "create"), kinds(cloud))
    return found


@pytest.mark.parametrize("point", range(POINTS))
def test_one_command_after_a_kill_leaves_no_orphan_and_no_duplicate(
    whole: dict[str, Whole], cloud: Cloud, point: int, tmp_path: Path
):
    stack = site(cloud, tmp_path)
    kill_up_at(cloud, *place(point, POINTS, whole[cloud.package].creates), stack)
    assert_recovers(stack, cloud, whole[cloud.package].kinds)


@pytest.mark.parametrize("point", range(REPLACEMENTS))
def test_one_command_is_enough_too_when_servers_were_being_replaced(
    whole: dict[str, Whole], cloud: Cloud, point: int, tmp_path: Path
):
    stack = site(cloud, tmp_path)
    paper.up(stack)
    stack.configure(size=LARGER[cloud.package])
    kill_up_at(cloud, *place(point + 1, REPLACEMENTS + 1, SERVERS), stack)
    assert_recovers(stack, cloud, whole[cloud.package].kinds)


LAST = {"aws": "route53/record:Record", "digitalocean": "certificate:Certificate"}


def test_one_command_finds_what_a_name_and_https_add(cloud: Cloud, tmp_path: Path):
    own = with_zone(cloud)
    stack = new_stack(cloud.package, tmp_path / "stack", balancer=True, **SITE)
    kill_up_at(cloud, "after", 1, stack, LAST[cloud.package])
    said = stack.recover()
    assert re.search(f"{LAST[cloud.package]}.*: taken in", said)
    paper.up(stack)
    paper.unchanged(stack)
    stack.destroy()
    assert set(cloud.leftovers()) == own


def test_what_a_lost_reply_left_is_named(cloud: Cloud, tmp_path: Path):
    cloud.faults.lost_replies.append(":Vpc")
    stack = site(cloud, tmp_path)
    assert stack.up(*paper.WITHOUT_SSH, check=False).returncode != 0
    [lost] = ids(cloud) - paper.ids(stack)
    said = stack.recover()
    assert "left by a reply that was lost" in said
    assert lost in said


def test_another_stack_of_the_same_name_keeps_what_it_has(cloud: Cloud, tmp_path: Path):
    for each in ("one", "other"):
        (tmp_path / each).mkdir()
    one, other = site(cloud, tmp_path / "one"), site(cloud, tmp_path / "other")
    paper.up(one)
    whole = paper.ids(one)
    # It hasn't been made: what is found with its tags is the first stack's.
    kill_up_at(cloud, "before", 1, other, ":Vpc")
    other.recover()
    assert not paper.ids(other) & whole
    other.destroy()
    paper.unchanged(one)
    assert ids(cloud) == whole
    one.destroy()


def place(point: int, points: int, creates: int) -> tuple[str, int]:
    """The stage and the number of a create: both stages of some, spread over all."""
    pairs = (points + 1) // 2
    return ("after" if point % 2 else "before", 1 + (2 * (point // 2) + 1) * creates // (2 * pairs))


def assert_recovers(stack: Stack, cloud: Cloud, wanted: Counter[str]) -> None:
    said = stack.recover()
    paper.up(stack)
    paper.unchanged(stack)
    assert ids(cloud) == paper.ids(stack), said
    assert kinds(cloud) == wanted, said
    stack.destroy()
    assert cloud.leftovers() == []


def site(cloud: Cloud, folder: Path) -> Stack:
    # Several have a balancer: an address of a server's own moves only after commands over SSH.
    return new_stack(cloud.package, folder / "stack", servers=SERVERS)


def ids(cloud: Cloud) -> set[str]:
    return {each.partition(" ")[2] for each in cloud.leftovers()}


def kinds(cloud: Cloud) -> Counter[str]:
    """How many there are of each kind."""
    return Counter(each.partition(" ")[0] for each in cloud.leftovers())


def kill_up_at(cloud: Cloud, stage: str, number: int, stack: Stack, token: str = "") -> None:
    """SIGKILL for all of `up` at the create with that number, before the cloud does it or before the reply is heard."""
    seen = 0
    dead, lock = threading.Event(), threading.Lock()

    def witness(call: Call) -> None:
        nonlocal seen
        with lock:
            if dead.is_set() or (call.operation, call.stage) != ("create", stage) or token not in call.token:
                return
            seen += 1
            if seen < number:
                return
            kill_session(run.pid)
            run.wait()
            dead.set()
        if stage == "before":
            raise CloudError("its provider was killed too")

    cloud.faults.witness = witness
    run = paper.started(stack)
    run.wait(120)
    # The witness learns of the end at the same time.
    assert dead.wait(20), f"up ended before create {number}"
    cloud.faults.witness = lambda _call: None
    # What other threads of the cloud had begun, they finish.
    time.sleep(2)
