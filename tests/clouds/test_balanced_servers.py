"""Two servers behind a cloud's balancer, on machines: the life of a stack, mostly under load.

The tests are one story, in this order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.clouds import manual_changes
from tests.clouds.infrastructure import OPERATOR, STRANGER
from tests.clouds.simulated_stack import LARGER_SIZES
from tests.clouds.testbed import CloudTestbed, can_connect, clouds_under_test, new_testbed
from tests.load import load
from tests.machine import raw_streams
from tests.stack import get

pytestmark = [pytest.mark.machine, pytest.mark.cloud]

LAST_LINE = "app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)\n"
# The steps that undo the manual changes of the SSH rule, of the health checks and of the balancer's targets.
REPAIR_STEPS = {
    "aws": {
        ("SecurityGroupIngressRule", "sim-ssh-198-51-100-7-32-cddcba", "update"),
        ("TargetGroup", "sim-balancer", "update"),
        ("TargetGroupAttachment", "sim-0-attachment", "create"),
    },
    "digitalocean": {
        ("Firewall", "sim", "update"),
        ("LoadBalancer", "sim-balancer", "update"),
        ("Droplet", "sim-0", "update"),
    },
}


@pytest.fixture(scope="module", params=clouds_under_test("digitalocean"))
def testbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudTestbed]:
    with new_testbed(request.param, tmp_path_factory.mktemp("cloud"), servers=2) as testbed:
        yield testbed


def test_up_brings_two_servers_behind_a_balancer(testbed: CloudTestbed):
    testbed.stack.up()
    assert testbed.pages() == {"Hello World!\n"}
    assert testbed.target_health() == [True, True]
    assert testbed.stack.steps() == {}


def test_the_servers_have_read_their_user_data_from_the_clouds_own_metadata_service(testbed: CloudTestbed):
    instance_data = json.loads(testbed.stack.ssh("cat /run/cloud-init/instance-data.json").stdout)
    assert instance_data["v1"]["cloud_name"] == testbed.cloud.package
    assert instance_data["v1"]["instance_id"] == testbed.servers()[0]["instance_id"]


def test_nobody_reaches_a_server_past_the_balancer_and_only_the_operator_reaches_ssh(testbed: CloudTestbed):
    for server in testbed.servers():
        address = server["address"]
        assert can_connect(address, 22, OPERATOR)
        assert not can_connect(address, 22, STRANGER)
        assert not can_connect(address, 80, OPERATOR)
    other_id = testbed.servers()[1]["instance_id"]
    other_address = next(server.private_address for server in testbed.topology.servers if server.id == other_id)
    command = f"timeout 3 bash -c '</dev/tcp/{other_address}/80' && echo in || echo out"
    assert testbed.stack.ssh(command).stdout.strip() == "out"


def test_an_app_update_fails_no_request(testbed: CloudTestbed, tmp_path: Path):
    testbed.stack.edit("Hello World!", "Hello Mars!")
    testbed.stack.edit(LAST_LINE, LAST_LINE + raw_streams.ROUTES)
    with load(f"{testbed.entrypoint}echo", tmp_path) as result:
        testbed.stack.up()
    assert testbed.pages() == {"Hello Mars!\n"}
    assert (result.failed, result.requests > 300) == ({}, True)


def test_websockets_and_events_pass_the_balancer_at_once(testbed: CloudTestbed):
    address = urlsplit(testbed.entrypoint).hostname
    assert address
    raw_streams.assert_streams_pass(address, host=address)


def test_refresh_finds_manual_changes_and_up_undoes_them(testbed: CloudTestbed):
    server = testbed.servers()[0]
    manual_changes.open_ssh_to_everybody(testbed.cloud)
    manual_changes.slow_down_health_checks(testbed.cloud)
    assert can_connect(server["address"], 22, STRANGER)
    manual_changes.remove_from_balancer(testbed.cloud, server["instance_id"])
    assert len(testbed.target_health()) == 1
    testbed.stack.pulumi("refresh", "--yes", "--skip-preview")
    assert testbed.stack.plan() >= REPAIR_STEPS[testbed.cloud.package]
    testbed.stack.up()
    assert testbed.stack.steps() == {}
    assert not can_connect(server["address"], 22, STRANGER)
    testbed.wait_for_target_health([True, True])


def test_an_unhealthy_zone_gets_no_request_until_it_is_healthy_again(testbed: CloudTestbed):
    zones = [target.zone for target in testbed.topology.balancers[0].targets]
    unhealthy_zone = min(zones)
    expected_health = sorted(zone != unhealthy_zone for zone in zones)
    testbed.cloud.faults.unhealthy_zones = {unhealthy_zone}
    testbed.cloud.apply_topology()
    testbed.wait_for_target_health(expected_health)
    if any(expected_health):
        assert testbed.pages() == {"Hello Mars!\n"}
    else:
        # DigitalOcean's servers are all in one zone, so the balancer itself must answer.
        assert get(testbed.entrypoint).status == 503
    testbed.cloud.faults.unhealthy_zones = set()
    testbed.cloud.apply_topology()
    testbed.wait_for_target_health([True, True])


def test_a_server_that_was_stopped_and_started_serves_again(testbed: CloudTestbed):
    """On AWS it has another address from then on."""
    ids_before = [server["instance_id"] for server in testbed.servers()]
    manual_changes.stop_and_start(testbed.cloud, ids_before[0])
    testbed.wait_for_target_health([True, True])
    testbed.stack.pulumi("refresh", "--yes", "--skip-preview")
    testbed.stack.up()
    assert [server["instance_id"] for server in testbed.servers()] == ids_before
    assert testbed.pages() == {"Hello Mars!\n"}
    assert testbed.stack.ssh("hostname").stdout
    assert testbed.stack.steps() == {}


def test_replacing_the_servers_fails_no_request(testbed: CloudTestbed, tmp_path: Path):
    ids_before = {server["instance_id"] for server in testbed.servers()}
    testbed.stack.configure(size=LARGER_SIZES[testbed.cloud.package])
    with load(f"{testbed.entrypoint}echo", tmp_path, seconds=390) as result:
        testbed.stack.up()
    ids_after = {server["instance_id"] for server in testbed.servers()}
    assert not ids_before & ids_after
    assert testbed.pages() == {"Hello Mars!\n"}
    assert (result.failed, result.requests > 300) == ({}, True)


def test_the_stack_rolls_back_to_the_previous_release(testbed: CloudTestbed):
    testbed.stack.edit("Hello Mars!", "Hello Venus!")
    previous_release = testbed.stack.outputs()["release"]
    testbed.stack.up()
    assert testbed.pages() == {"Hello Venus!\n"}
    testbed.stack.configure(release=previous_release)
    testbed.stack.up()
    assert testbed.pages() == {"Hello Mars!\n"}
    # New servers keep no earlier release. So the app's folder must have the same release for the tests that follow.
    testbed.stack.edit("Hello Venus!", "Hello Mars!")
    testbed.stack.configure(release=None)


@pytest.mark.parametrize("servers", [3, 1], ids=["from_2_to_3", "from_3_to_1"])
def test_changing_the_number_of_servers_fails_no_request(testbed: CloudTestbed, servers: int, tmp_path: Path):
    testbed.stack.configure(servers=servers, balancer=True)
    with load(f"{testbed.entrypoint}echo", tmp_path, seconds=390) as result:
        testbed.stack.up()
    assert len(testbed.servers()) == servers
    assert testbed.pages() == {"Hello Mars!\n"}
    assert testbed.target_health() == [True] * servers
    assert (result.failed, result.requests > 300) == ({}, True)


def test_destroy_leaves_nothing_in_the_cloud(testbed: CloudTestbed):
    testbed.stack.destroy()
    assert testbed.cloud.leftovers() == []
    assert (testbed.topology.servers, testbed.topology.balancers) == ((), ())
