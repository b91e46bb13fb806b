"""An `up` that is killed before or after a reply of the cloud: one command brings cloud and state back together."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.clouds import without_ssh
from tests.clouds.aws import Aws
from tests.clouds.digitalocean import DigitalOcean
from tests.clouds.faults import Call, CloudError
from tests.clouds.provider import Cloud
from tests.clouds.simulated_commands import without_servers
from tests.clouds.simulated_stack import LARGER, new_stack, simulated
from tests.clouds.test_shapes import SITE, with_zone
from tests.kills import kill_session
from tests.stack import Stack

pytestmark = pytest.mark.engine

Settings = dict[str, Any]


@dataclass(frozen=True)
class Story:
    """From a stack with some settings (or none) to one with others (or none), and which replies are waited for."""

    before: Settings | None
    after: Settings | None
    operation: str


TWO: Settings = {"servers": 2, "balancer": True}
STORIES = {
    "two servers come": Story(None, TWO, "create"),
    "a single server comes": Story(None, {"servers": 1}, "create"),
    "servers are replaced": Story(TWO, {**TWO, "size": LARGER}, "create"),
    "things change in place": Story({**TWO, "healthPath": "/"}, {**TWO, "healthPath": "/healthz"}, "update"),
    "a server goes": Story(TWO, {**TWO, "servers": 1}, "delete"),
    "all goes": Story(TWO, None, "delete"),
}
# On each cloud; thirty take half an hour: KILLS=30 python -m pytest tests/clouds/test_kills.py
POINTS = max(1, int(os.environ.get("KILLS", "0")) // len(STORIES))


@contextmanager
def world(name: str, folder: Path) -> Iterator[Cloud]:
    """A cloud on paper, on whose servers every command counts as done."""
    with simulated(name, None, folder) as cloud, without_servers(folder):
        yield cloud


@dataclass(frozen=True)
class Whole:
    """What happens to a stack that nobody kills: how many replies there are, and what is there of each kind then."""

    cloud: str
    name: str
    replies: int
    kinds: Counter[str]

    @property
    def story(self) -> Story:
        return STORIES[self.name]


@pytest.fixture(scope="module", params=product(LARGER, STORIES), ids=lambda given: ", ".join(given))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    name, story = request.param
    folder = tmp_path_factory.mktemp(name)
    with world(name, folder) as cloud:
        command = begun(STORIES[story], stack := stack_of(name, folder, STORIES[story]))
        cloud.calls.clear()
        stack.pulumi(*command)
        replies = sum(1 for operation, _ in cloud.calls if operation == STORIES[story].operation)
        return Whole(name, story, replies, kinds(cloud))


@pytest.mark.parametrize("point", range(POINTS))
def test_one_command_after_a_kill_leaves_no_orphan_and_no_duplicate(whole: Whole, point: int, tmp_path: Path):
    with world(whole.cloud, tmp_path) as cloud:
        command = begun(whole.story, stack := stack_of(whole.cloud, tmp_path, whole.story))
        kill_at(cloud, whole.story.operation, *place(whole, point), stack, command)
        said = stack.recover()
        stack.pulumi(*command)
        if whole.story.after is not None:
            stack.pulumi("preview", "--expect-no-changes")
        give_back_what_is_named(cloud, ids(cloud) - without_ssh.ids(stack), said)
        assert ids(cloud) == without_ssh.ids(stack), said
        assert kinds(cloud) == whole.kinds, said
        stack.destroy()
        assert cloud.leftovers() == []


def give_back_what_is_named(cloud: Cloud, orphans: set[str], said: str) -> None:
    """What only the operator can know to be nobody's: a reserved IP has neither name nor tag."""
    if isinstance(cloud, DigitalOcean):
        for address in orphans & set(cloud.all("reserved_ip")):
            assert f"{address} lead nowhere" in said
            cloud.remove("reserved_ip", address)


def stack_of(name: str, folder: Path, story: Story) -> Stack:
    return new_stack(name, folder / "stack", **settings(name, story.before or story.after or {}))


def begun(story: Story, stack: Stack) -> tuple[str, ...]:
    """Bring the stack to where the story begins; the command that tells it."""
    if story.before:
        stack.up()
    if story.after is None:
        return ("destroy", "--yes", "--skip-preview")
    stack.configure(**settings(str(stack.settings["target"]), story.after))
    return ("up", "--yes", "--skip-preview")


def settings(name: str, given: Settings) -> Settings:
    """A setting that differs by cloud is given for both."""
    return {key: value[name] if isinstance(value, dict) else value for key, value in given.items()}


def place(whole: Whole, point: int) -> tuple[str, int]:
    """The stage and the number of a reply: both stages of some, spread over all."""
    pairs = (POINTS + 1) // 2
    # With one point each, half of the stories have theirs before the reply.
    late = (point + list(STORIES).index(whole.name) + list(LARGER).index(whole.cloud)) % 2
    return "after" if late else "before", 1 + (2 * (point // 2) + 1) * whole.replies // (2 * pairs)


LAST = {"aws": "route53/record:Record", "digitalocean": "certificate:Certificate"}


@pytest.fixture(params=["aws", "digitalocean"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    with world(request.param, tmp_path) as cloud:
        yield cloud


def test_one_command_finds_what_a_name_and_https_add(cloud: Cloud, tmp_path: Path):
    own = with_zone(cloud)
    stack = new_stack(cloud.package, tmp_path / "stack", balancer=True, **SITE)
    kill_at(cloud, "create", "after", 1, stack, UP, LAST[cloud.package])
    said = stack.recover()
    assert re.search(f"{LAST[cloud.package]}.*: taken in", said)
    stack.up()
    stack.up("--expect-no-changes")
    stack.destroy()
    assert set(cloud.leftovers()) == own


def test_what_a_lost_reply_left_is_named(cloud: Cloud, tmp_path: Path):
    cloud.faults.lost_replies.append(":Vpc")
    stack = new_stack(cloud.package, tmp_path / "stack", **TWO)
    assert stack.up(check=False).returncode != 0
    [lost] = ids(cloud) - without_ssh.ids(stack)
    said = stack.recover()
    assert "left by a reply that was lost" in said
    assert lost in said


def test_what_was_deleted_is_not_taken_for_what_was_made(tmp_path: Path):
    with world("aws", tmp_path) as cloud:
        stack = new_stack("aws", tmp_path / "stack", **TWO)
        stack.up()
        stack.destroy()
        # AWS lists all of that by its tags for hours.
        kill_at(cloud, "create", "after", 1, stack, UP, ":Vpc")
        said = stack.recover()
        assert re.search("vpc:Vpc.*: taken in", said)
        assert "unknown to it" not in said
        stack.up()
        assert ids(cloud) == without_ssh.ids(stack)
        stack.destroy()


def test_a_rule_that_was_made_and_not_tagged_any_more_is_found(tmp_path: Path):
    with world("aws", tmp_path) as cloud:
        assert isinstance(cloud, Aws)
        stack = new_stack("aws", tmp_path / "stack", **TWO)
        cloud.faults.untagged = True
        kill_at(cloud, "create", "after", 1, stack, UP, ":SecurityGroupEgressRule")
        cloud.faults.untagged = False
        assert re.search("SecurityGroupEgressRule.*: taken in", stack.recover())
        stack.up()
        stack.up("--expect-no-changes")
        assert ids(cloud) == without_ssh.ids(stack)
        rules, known = cloud.client("ec2").describe_security_group_rules(MaxResults=1000), without_ssh.ids(stack)
        ours = [each["Tags"] for each in rules["SecurityGroupRules"] if each["SecurityGroupRuleId"] in known]
        assert all({"Key": "Stack", "Value": "sim"} in each for each in ours)
        assert len(ours) == 5
        stack.destroy()


def test_another_stack_of_the_same_name_keeps_what_it_has(cloud: Cloud, tmp_path: Path):
    for each in ("one", "other"):
        (tmp_path / each).mkdir()
    one, other = (new_stack(cloud.package, tmp_path / each / "stack", **TWO) for each in ("one", "other"))
    one.up()
    whole = without_ssh.ids(one)
    # It hasn't been made: what is found with its tags is the first stack's.
    kill_at(cloud, "create", "before", 1, other, UP, ":Vpc")
    other.recover()
    assert not without_ssh.ids(other) & whole
    other.destroy()
    one.up("--expect-no-changes")
    assert ids(cloud) == whole
    one.destroy()


UP = ("up", "--yes", "--skip-preview")


def ids(cloud: Cloud) -> set[str]:
    return {each.partition(" ")[2] for each in cloud.leftovers()}


def kinds(cloud: Cloud) -> Counter[str]:
    """How many there are of each kind."""
    return Counter(each.partition(" ")[0] for each in cloud.leftovers())


def kill_at(
    cloud: Cloud, operation: str, stage: str, number: int, stack: Stack, command: tuple[str, ...], token: str = ""
) -> None:
    """SIGKILL for all of a command at the reply with that number, before the cloud does it or before it is heard."""
    seen = 0
    dead, lock = threading.Event(), threading.Lock()

    def witness(call: Call) -> None:
        nonlocal seen
        with lock:
            if dead.is_set() or (call.operation, call.stage) != (operation, stage) or token not in call.token:
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
    run = without_ssh.started(stack, *command)
    run.wait(120)
    # The witness learns of the end at the same time.
    assert dead.wait(20), f"{command[0]} ended before {operation} {number}"
    cloud.faults.witness = lambda _call: None
    # What other threads of the cloud had begun, they finish.
    time.sleep(2)
