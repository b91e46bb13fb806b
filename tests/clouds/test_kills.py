"""An `up` or `destroy` that is killed before or after a reply of the cloud. One command makes cloud and state agree."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from tests.clouds.aws import SimulatedAws
from tests.clouds.digitalocean import SimulatedDigitalOcean
from tests.clouds.faults import Call, CloudError
from tests.clouds.simulated_cloud import SimulatedCloud
from tests.clouds.simulated_commands import simulated_commands
from tests.clouds.simulated_stack import LARGER_SIZES, ids_in_state, new_stack, simulated_cloud
from tests.clouds.test_shapes import DOMAIN_SETTINGS, create_zone
from tests.clouds.transitions import DESTROY, TRANSITIONS, TWO_SERVERS, UP, Settings, Transition
from tests.kills import kill_session
from tests.stack import ROOT, Stack

pytestmark = pytest.mark.engine

# Kills on each cloud. Thirty take half an hour: KILLS=30 make test ARGS=tests/clouds/test_kills.py
# Without the variable, each transition that creates something is killed once, on one of the clouds. The weekly workflow
# kills all of them.
KILLS_ON_EACH_CLOUD = int(os.environ.get("KILLS", "0"))
KILLS_OF_EACH_TRANSITION = max(1, KILLS_ON_EACH_CLOUD // len(TRANSITIONS))
CLOUDS_AND_TRANSITIONS = [
    (cloud, transition)
    for (cloud_number, cloud), (number, transition) in product(enumerate(LARGER_SIZES), enumerate(TRANSITIONS))
    if KILLS_ON_EACH_CLOUD or ((cloud_number + number) % 2 == 0 and TRANSITIONS[transition].operation == "create")
]


@contextmanager
def cloud_without_machines(name: str, folder: Path) -> Iterator[SimulatedCloud]:
    """A cloud that boots no machine. Every command on its servers succeeds."""
    with simulated_cloud(name, folder) as cloud, simulated_commands(folder):
        yield cloud


@dataclass(frozen=True, kw_only=True)
class Uninterrupted:
    """A transition that nobody kills: its number of replies, and how many resources of each kind exist afterwards."""

    cloud_name: str
    transition_name: str
    replies: int
    resource_counts: Counter[str]

    @property
    def transition(self) -> Transition:
        return TRANSITIONS[self.transition_name]


@pytest.fixture(scope="module", params=CLOUDS_AND_TRANSITIONS, ids=", ".join)
def uninterrupted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    cloud_name, transition_name = request.param
    transition = TRANSITIONS[transition_name]
    folder = tmp_path_factory.mktemp(cloud_name)
    with cloud_without_machines(cloud_name, folder) as cloud:
        stack = new_transition_stack(cloud_name, folder, transition)
        command = prepare(stack, transition)
        cloud.calls.clear()
        stack.pulumi(*command)
        replies = sum(1 for operation, _ in cloud.calls if operation == transition.operation)
        return Uninterrupted(
            cloud_name=cloud_name,
            transition_name=transition_name,
            replies=replies,
            resource_counts=resource_counts(cloud),
        )


@pytest.mark.parametrize("kill_number", range(KILLS_OF_EACH_TRANSITION))
def test_one_command_after_a_kill_leaves_no_orphan_and_no_duplicate(
    uninterrupted: Uninterrupted, kill_number: int, tmp_path: Path
):
    transition = uninterrupted.transition
    with cloud_without_machines(uninterrupted.cloud_name, tmp_path) as cloud:
        stack = new_transition_stack(uninterrupted.cloud_name, tmp_path, transition)
        command = prepare(stack, transition)
        stage, reply = kill_point(uninterrupted, kill_number)
        run_and_kill(cloud, stack, command, operation=transition.operation, stage=stage, number=reply)
        report = stack.recover()
        stack.pulumi(*command)
        if transition.after is not None:
            stack.pulumi("preview", "--expect-no-changes")
        release_reported_addresses(cloud, ids(cloud) - ids_in_state(stack), report)
        assert ids(cloud) == ids_in_state(stack), report
        assert resource_counts(cloud) == uninterrupted.resource_counts, report
        stack.destroy()
        assert cloud.leftovers() == []


def release_reported_addresses(cloud: SimulatedCloud, orphans: set[str], report: str) -> None:
    """Release reserved IPs that `recover` reported. They have no name and no tag, so only the operator can decide."""
    if isinstance(cloud, SimulatedDigitalOcean):
        for address in orphans & set(cloud.documents("reserved_ip")):
            assert f"These reserved IPs have no droplet: {address}" in report
            cloud.remove("reserved_ip", address)


def new_transition_stack(cloud_name: str, folder: Path, transition: Transition) -> Stack:
    settings = transition.before or transition.after or {}
    return new_stack(cloud_name, folder / "stack", **settings_for(cloud_name, settings))


def prepare(stack: Stack, transition: Transition) -> tuple[str, ...]:
    """Bring the stack to where the transition begins; the command that carries the transition out."""
    if transition.before:
        stack.up()
    if transition.after is None:
        return DESTROY
    stack.configure(**settings_for(str(stack.settings["target"]), transition.after))
    return UP


def settings_for(cloud_name: str, settings: Settings) -> Settings:
    """The settings for one cloud. A value that differs between clouds is a dict with the value of each."""
    return {key: value[cloud_name] if isinstance(value, dict) else value for key, value in settings.items()}


def kill_point(uninterrupted: Uninterrupted, kill_number: int) -> tuple[str, int]:
    """The stage and the number of the reply. The kills take both stages of some replies, spread over all of them."""
    replies_to_kill_at = (KILLS_OF_EACH_TRANSITION + 1) // 2
    # Of single kills, half are before the reply. That holds for half of the pairs as well as for all of them.
    transition_index = list(TRANSITIONS).index(uninterrupted.transition_name)
    cloud_index = list(LARGER_SIZES).index(uninterrupted.cloud_name)
    stage = "after" if (kill_number + transition_index // 2 + cloud_index) % 2 else "before"
    return stage, 1 + (2 * (kill_number // 2) + 1) * uninterrupted.replies // (2 * replies_to_kill_at)


# The type whose create is killed: the last one that a domain and HTTPS add.
LAST_TYPES = {"aws": "route53/record:Record", "digitalocean": "certificate:Certificate"}


@pytest.fixture(params=["aws", "digitalocean"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SimulatedCloud]:
    with cloud_without_machines(request.param, tmp_path) as cloud:
        yield cloud


def test_recover_finds_the_resources_that_a_domain_and_https_add(cloud: SimulatedCloud, tmp_path: Path):
    resources_before = create_zone(cloud)
    stack = new_stack(cloud.package, tmp_path / "stack", balancer=True, **DOMAIN_SETTINGS)
    run_and_kill(cloud, stack, UP, operation="create", stage="after", token=LAST_TYPES[cloud.package])
    report = stack.recover()
    assert re.search(f"{LAST_TYPES[cloud.package]}.*: added to the state", report)
    stack.up()
    stack.up("--expect-no-changes")
    stack.destroy()
    assert set(cloud.leftovers()) == resources_before


@pytest.mark.parametrize("collection", ["load_balancer", "droplet"])
def test_recover_waits_until_a_new_balancer_or_droplet_has_its_address(collection: str, tmp_path: Path):
    with cloud_without_machines("digitalocean", tmp_path) as cloud:
        assert isinstance(cloud, SimulatedDigitalOcean)
        stack = new_stack("digitalocean", tmp_path / "stack", **TWO_SERVERS)
        type_ = {"load_balancer": ":LoadBalancer", "droplet": ":Droplet"}[collection]
        run_and_kill(cloud, stack, UP, operation="create", stage="after", token=type_)
        created = list(cloud.documents(collection).values())
        for document in created:
            document["status"] = "new"
        activation = threading.Timer(8, lambda: [document.update(status="active") for document in created])
        activation.start()
        try:
            report = stack.recover()
        finally:
            activation.cancel()
        assert "isn't active yet, so it has no address: waiting for 0:00" in report
        stack.up()
        [balancer] = cloud.documents("load_balancer").values()
        assert stack.outputs()["url"] == f"http://{balancer['ip']}/"
        stack.up("--expect-no-changes")
        assert ids(cloud) == ids_in_state(stack)
        stack.destroy()


def test_recover_reports_a_resource_whose_reply_was_lost(cloud: SimulatedCloud, tmp_path: Path):
    cloud.faults.lost_replies.append(":Vpc")
    stack = new_stack(cloud.package, tmp_path / "stack", **TWO_SERVERS)
    assert stack.up(check=False).returncode != 0
    [orphan] = ids(cloud) - ids_in_state(stack)
    report = stack.recover()
    assert "A lost reply may have left them" in report
    assert orphan in report


def test_recover_ignores_deleted_resources_that_aws_still_lists(tmp_path: Path):
    with cloud_without_machines("aws", tmp_path) as cloud:
        stack = new_stack("aws", tmp_path / "stack", **TWO_SERVERS)
        stack.up()
        stack.destroy()
        # AWS lists all these resources by their tags for hours.
        run_and_kill(cloud, stack, UP, operation="create", stage="after", token=":Vpc")
        report = stack.recover()
        assert re.search("vpc:Vpc.*: added to the state", report)
        assert "that aren't in its state" not in report
        stack.up()
        assert ids(cloud) == ids_in_state(stack)
        stack.destroy()


def test_recover_finds_a_rule_that_was_created_and_not_yet_tagged(tmp_path: Path):
    with cloud_without_machines("aws", tmp_path) as cloud:
        assert isinstance(cloud, SimulatedAws)
        stack = new_stack("aws", tmp_path / "stack", **TWO_SERVERS)
        cloud.faults.tags_are_lost = True
        run_and_kill(cloud, stack, UP, operation="create", stage="after", token=":SecurityGroupEgressRule")
        cloud.faults.tags_are_lost = False
        assert re.search("SecurityGroupEgressRule.*: added to the state", stack.recover())
        stack.up()
        stack.up("--expect-no-changes")
        assert ids(cloud) == ids_in_state(stack)
        rules = cloud.client("ec2").describe_security_group_rules(MaxResults=1000)["SecurityGroupRules"]
        known_ids = ids_in_state(stack)
        tags_of_rules = [rule["Tags"] for rule in rules if rule["SecurityGroupRuleId"] in known_ids]
        assert all({"Key": "Stack", "Value": "sim"} in tags for tags in tags_of_rules)
        assert len(tags_of_rules) == 5
        stack.destroy()


def test_recover_leaves_the_resources_of_another_stack_with_the_same_name(cloud: SimulatedCloud, tmp_path: Path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one, other = (new_stack(cloud.package, tmp_path / name / "stack", **TWO_SERVERS) for name in ("one", "other"))
    one.up()
    ids_of_one = ids_in_state(one)
    # The other stack has created nothing yet. All resources with its tags belong to the first stack.
    run_and_kill(cloud, other, UP, operation="create", stage="before", token=":Vpc")
    other.recover()
    assert not ids_in_state(other) & ids_of_one
    other.destroy()
    one.up("--expect-no-changes")
    assert ids(cloud) == ids_of_one
    one.destroy()


def ids(cloud: SimulatedCloud) -> set[str]:
    """The ids of all resources in the account."""
    return {line.partition(" ")[2] for line in cloud.leftovers()}


def resource_counts(cloud: SimulatedCloud) -> Counter[str]:
    """How many resources of each kind the account has."""
    return Counter(line.partition(" ")[0] for line in cloud.leftovers())


def run_and_kill(
    cloud: SimulatedCloud,
    stack: Stack,
    command: tuple[str, ...],
    *,
    operation: str,
    stage: str,
    number: int = 1,
    token: str = "",
) -> None:
    """Run a command and kill all its processes at the ``number``th call of an operation.

    ``stage`` is "before" the cloud carries the call out, or "after", before the engine gets the reply.
    With ``token``, only calls for matching types count.
    """
    killed, lock = threading.Event(), threading.Lock()
    matching_calls = 0

    def kill(call: Call) -> None:
        nonlocal matching_calls
        with lock:
            if killed.is_set() or (call.operation, call.stage) != (operation, stage) or token not in call.token:
                return
            matching_calls += 1
            if matching_calls < number:
                return
            kill_session(process.pid)
            process.wait()
            killed.set()
        if stage == "before":
            raise CloudError("the provider was killed as well")

    cloud.faults.on_call = kill
    process = start(stack, command)
    process.wait(120)
    # The thread that kills and this one see the end of the process at the same time.
    assert killed.wait(20), f"{command[0]} ended before {operation} {number}"
    cloud.faults.on_call = lambda _call: None
    # Other threads of the cloud finish the calls that they had begun.
    time.sleep(2)


def start(stack: Stack, command: tuple[str, ...]) -> subprocess.Popen[str]:
    """Start a command in a session of its own, so that a kill reaches all its processes."""
    return subprocess.Popen(
        stack.command(*command),
        cwd=ROOT,
        env=stack.env(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
