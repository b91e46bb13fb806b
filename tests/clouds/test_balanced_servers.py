"""Two servers behind a cloud's balancer, on machines: everything that a stack goes through, with visitors all the time.

The tests are one story and need each other's order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clouds import manual_changes
from tests.clouds.infrastructure import OPERATOR, STRANGER
from tests.clouds.simulated_stack import LARGER, Site, chosen, connects, site_on
from tests.load import load
from tests.stack import get

pytestmark = [pytest.mark.machine, pytest.mark.cloud]

# What is found of the changes by hand: a rule, the health checks, a member of the balancer.
MENDS = {
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


@pytest.fixture(scope="module", params=chosen("digitalocean"))
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_on(request.param, tmp_path_factory.mktemp("cloud"), servers=2) as site:
        yield site


def test_up_brings_two_servers_behind_a_balancer(site: Site):
    site.stack.up()
    assert site.pages() == {"Hello World!\n"}
    assert site.well() == [True, True]
    assert site.stack.steps() == {}


def test_the_servers_have_read_their_user_data_from_the_clouds_own_metadata_service(site: Site):
    said = json.loads(site.stack.ssh("cat /run/cloud-init/instance-data.json").stdout)
    assert said["v1"]["cloud_name"] == site.cloud.package
    assert said["v1"]["instance_id"] == site.servers()[0]["instance_id"]


def test_a_server_is_reached_neither_past_the_balancer_nor_over_ssh_from_elsewhere(site: Site):
    for server in site.servers():
        address = server["address"]
        assert connects(address, 22, OPERATOR)
        assert not connects(address, 22, STRANGER)
        assert not connects(address, 80, OPERATOR)
    other = site.servers()[1]["instance_id"]
    inside = next(each.private for each in site.view.instances if each.id == other)
    asked = f"timeout 3 bash -c '</dev/tcp/{inside}/80' && echo in || echo out"
    assert site.stack.ssh(asked).stdout.strip() == "out"


def test_an_app_update_fails_no_request(site: Site, tmp_path: Path):
    site.stack.edit("Hello World!", "Hello Mars!")
    with load(f"{site.front}echo", tmp_path) as seen:
        site.stack.up()
    assert site.pages() == {"Hello Mars!\n"}
    assert (seen.failed, seen.requests > 300) == ({}, True)


def test_what_was_changed_by_hand_is_found_by_refresh_and_mended_by_up(site: Site):
    server = site.servers()[0]
    manual_changes.admit_everybody_to_ssh(site.cloud)
    manual_changes.check_seldom(site.cloud)
    assert connects(server["address"], 22, STRANGER)
    manual_changes.take_out_of_balancer(site.cloud, server["instance_id"])
    assert len(site.well()) == 1
    site.stack.pulumi("refresh", "--yes", "--skip-preview")
    assert site.stack.plan() >= MENDS[site.cloud.package]
    site.stack.up()
    assert site.stack.steps() == {}
    assert not connects(server["address"], 22, STRANGER)
    site.wait_until_well([True, True])


def test_a_zone_that_is_out_of_reach_gets_no_request_until_it_is_back(site: Site):
    zones = [target.zone for target in site.view.balancers[0].targets]
    out = min(zones)
    left = sorted(zone != out for zone in zones)
    site.cloud.faults.unhealthy_zones = {out}
    site.cloud.show()
    site.wait_until_well(left)
    if any(left):
        assert site.pages() == {"Hello Mars!\n"}
    else:
        # DigitalOcean's servers are all in one zone: the balancer itself must answer.
        assert get(site.front).status == 503
    site.cloud.faults.unhealthy_zones = set()
    site.cloud.show()
    site.wait_until_well([True, True])


def test_a_server_that_was_stopped_and_started_goes_on(site: Site):
    """On AWS it has another address from then on."""
    before = [server["instance_id"] for server in site.servers()]
    manual_changes.stop_and_start(site.cloud, before[0])
    site.wait_until_well([True, True])
    site.stack.pulumi("refresh", "--yes", "--skip-preview")
    site.stack.up()
    assert [server["instance_id"] for server in site.servers()] == before
    assert site.pages() == {"Hello Mars!\n"}
    assert site.stack.ssh("hostname").stdout
    assert site.stack.steps() == {}


def test_servers_are_replaced_without_a_failed_request(site: Site, tmp_path: Path):
    before = {server["instance_id"] for server in site.servers()}
    site.stack.configure(size=LARGER[site.cloud.package])
    with load(f"{site.front}echo", tmp_path, seconds=390) as seen:
        site.stack.up()
    after = {server["instance_id"] for server in site.servers()}
    assert not before & after
    assert site.pages() == {"Hello Mars!\n"}
    assert (seen.failed, seen.requests > 300) == ({}, True)


def test_a_release_of_before_comes_back(site: Site):
    site.stack.edit("Hello Mars!", "Hello Venus!")
    before = site.stack.outputs()["release"]
    site.stack.up()
    assert site.pages() == {"Hello Venus!\n"}
    site.stack.configure(release=before)
    site.stack.up()
    assert site.pages() == {"Hello Mars!\n"}
    # Servers that are new have no kept release, so the app's folder serves the same one again.
    site.stack.edit("Hello Venus!", "Hello Mars!")
    site.stack.configure(release=None)


@pytest.mark.parametrize("servers", [1, 3, 1], ids=["from_2_to_1", "from_1_to_3", "from_3_to_1"])
def test_another_number_of_servers_fails_no_request(site: Site, servers: int, tmp_path: Path):
    site.stack.configure(servers=servers, balancer=True)
    with load(f"{site.front}echo", tmp_path, seconds=390) as seen:
        site.stack.up()
    assert len(site.servers()) == servers
    assert site.pages() == {"Hello Mars!\n"}
    assert site.well() == [True] * servers
    assert (seen.failed, seen.requests > 300) == ({}, True)


def test_destroy_leaves_nothing_in_the_cloud(site: Site):
    site.stack.destroy()
    assert site.cloud.leftovers() == []
    assert (site.view.instances, site.view.balancers) == ((), ())
