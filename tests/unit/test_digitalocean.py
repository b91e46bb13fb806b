from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from components.digitalocean.dns import relative
from host import times
from tests.clouds.digitalocean import SimulatedDigitalOcean
from tests.mocks import DIGITALOCEAN, SITE, Recorder, build_stack, is_secret

BALANCED = {**DIGITALOCEAN, "servers": 2, "balancer": True}


@pytest.fixture
def single(tmp_path: Path) -> Recorder:
    """One server with a reserved IP."""
    return build_stack(tmp_path, **DIGITALOCEAN)


@pytest.fixture
def fleet(tmp_path: Path) -> Recorder:
    """Two servers behind a balancer."""
    return build_stack(tmp_path, **BALANCED)


def inbound_rules(stack: Recorder) -> list[tuple[str | None, list[str]]]:
    """Ports and sources of all firewalls, without ICMP."""
    rules = [rule for firewall in stack.of_type(":Firewall") for rule in firewall.inputs.get("inboundRules", [])]
    return [
        (rule.get("portRange"), rule.get("sourceAddresses") or [f"lb:{uid}" for uid in rule["sourceLoadBalancerUids"]])
        for rule in rules
        if rule["protocol"] != "icmp"
    ]


def test_a_single_server_admits_ssh_from_the_networks_in_the_settings_and_visitors_from_anywhere(single: Recorder):
    everywhere = ["0.0.0.0/0", "::/0"]
    assert sorted(inbound_rules(single), key=str) == sorted(
        [("22", ["203.0.113.7/32"]), ("80", everywhere), ("443", everywhere)], key=str
    )


def test_behind_a_balancer_only_the_balancer_may_send_http_requests(fleet: Recorder):
    balancer = fleet.one(":LoadBalancer").id
    assert sorted(inbound_rules(fleet), key=str) == sorted(
        [("22", ["203.0.113.7/32"]), ("80", [f"lb:{balancer}"])], key=str
    )
    for number in (0, 1):
        stdin = fleet.one(":Command", f"prod-{number}-configure").inputs["stdin"]
        assert "set_real_ip_from 10.110.0.0/20;" in stdin


def test_the_firewall_exists_before_a_droplet_and_applies_through_its_tag(fleet: Recorder):
    for droplet in fleet.of_type(":Droplet"):
        tag = fleet.one(":Tag")
        assert droplet.inputs["tags"] == [f"{tag.name}-0a1b2c3"]
        assert droplet.waits_for(":Firewall")
    assert all(firewall.inputs["tags"] == ["prod-0a1b2c3"] for firewall in fleet.of_type(":Firewall"))


def test_a_droplet_always_has_an_ssh_key_so_that_no_password_is_mailed(single: Recorder, tmp_path: Path):
    assert single.one(":Droplet").inputs["sshKeys"] == ["aa:bb"]
    existing_key = build_stack(tmp_path, **DIGITALOCEAN, ssh_key="cc:dd")
    assert existing_key.one(":Droplet").inputs["sshKeys"] == ["cc:dd"]
    assert not existing_key.of_type("index/sshKey:SshKey"), "the account can't have the same key twice"


def test_a_droplet_is_monitored_and_replaced_for_another_size(single: Recorder):
    droplet = single.one(":Droplet")
    assert droplet.inputs["monitoring"] is True
    assert (droplet.inputs["image"], droplet.inputs["backups"]) == ("debian-13-x64", False)
    assert list(droplet.request.replaceOnChanges) == ["size"]
    assert is_secret(droplet.inputs["userData"])


def test_the_setting_turns_backups_on(tmp_path: Path):
    assert build_stack(tmp_path, **DIGITALOCEAN, backups=True).one(":Droplet").inputs["backups"] is True


def test_the_address_moves_after_the_release_and_ssh_uses_the_droplets_own_address(single: Recorder):
    assignment = single.one(":ReservedIpAssignment")
    assert "command:remote:Command::prod-0-release" in assignment.dependencies
    (server,) = single.output["servers"]
    assert assignment.inputs["dropletId"] == int(server["instance_id"])
    assert single.output["url"] == f"http://{assignment.inputs['ipAddress']}/" != f"http://{server['address']}/"
    assert single.one(":Command", "prod-0-release").inputs["connection"]["value"]["host"] == server["address"]


def test_the_balancer_finds_servers_by_tag_so_that_old_and_new_ones_overlap(fleet: Recorder):
    inputs = fleet.one(":LoadBalancer").inputs
    assert inputs["dropletTag"] == "prod-0a1b2c3"
    assert "dropletIds" not in inputs


def test_health_checks_are_quick_and_the_balancer_closes_idle_connections_before_nginx(fleet: Recorder):
    inputs = fleet.one(":LoadBalancer").inputs
    assert inputs["healthcheck"] == {
        "protocol": "http",
        "port": 80,
        "path": "/healthz",
        "checkIntervalSeconds": 5,
        "responseTimeoutSeconds": 3,
        "healthyThreshold": 2,
        "unhealthyThreshold": 2,
    }
    assert 60 < inputs["httpIdleTimeoutSeconds"] < 75


def test_no_server_is_removed_before_the_new_ones_serve_and_the_balancer_finds_them_healthy(fleet: Recorder):
    for number in (0, 1):
        joined = fleet.one(":Command", f"prod-{number}-joined")
        assert {f"command:remote:Command::prod-{other}-confirm" for other in (0, 1)} <= joined.dependencies
        assert joined.waits_for(":LoadBalancer")
        assert any(name.endswith("-balancer-web") for name in joined.dependency_names)
        settle = re.search(r"gantry wait-for-balancer --settle (\d+) --limit 300 --from 10\.", joined.inputs["create"])
        assert settle and int(settle[1]) > 5 * 2


def test_a_server_is_drained_before_its_droplet_is_deleted(fleet: Recorder):
    for number in (0, 1):
        drain = fleet.one(":Leaving", f"prod-{number}-leaving")
        assert f"digitalocean:index/droplet:Droplet::prod-{number}" in drain.dependencies
        assert drain.inputs["seconds"] == times.SETTLE_SECONDS + 30
        assert is_secret(drain.inputs["private_key"])


def test_with_a_zone_http_is_redirected_to_https_with_a_managed_certificate(fleet: Recorder, tmp_path: Path):
    assert fleet.one(":LoadBalancer").inputs["redirectHttpToHttps"] is False
    stack = build_stack(tmp_path, **BALANCED, **SITE)
    assert stack.one(":Certificate").inputs["type"] == "lets_encrypt"
    assert stack.one(":Certificate").inputs["domains"] == ["shop.example.org", "www.shop.example.org"]
    inputs = stack.one(":LoadBalancer").inputs
    assert inputs["redirectHttpToHttps"] is True
    assert inputs["tlsCipherPolicy"] == "STRONG"
    rules = {rule["entryPort"]: rule for rule in inputs["forwardingRules"]}
    assert rules[443]["certificateName"] == f"{stack.one(':Certificate').name}-0a1b2c3"
    assert {(rule["targetPort"], rule["targetProtocol"]) for rule in rules.values()} == {(80, "http")}
    assert stack.output["url"] == "https://shop.example.org/"


def test_with_a_zone_dns_records_point_to_an_entrypoint_that_serves_already(tmp_path: Path):
    for shape in (DIGITALOCEAN, BALANCED):
        stack = build_stack(tmp_path, **shape, **SITE)
        records = {record.inputs["name"]: record.inputs for record in stack.of_type(":DnsRecord")}
        assert set(records) == {"shop", "www.shop"}
        assert {inputs["domain"] for inputs in records.values()} == {"example.org"}
        entrypoints = stack.of_type(":ReservedIp") or stack.of_type(":LoadBalancer")
        assert len(entrypoints) == 1
        assert len({inputs["value"] for inputs in records.values()}) == 1
        last_step = "ReservedIpAssignment::" if shape is DIGITALOCEAN else "-joined"
        for record in stack.of_type(":DnsRecord"):
            assert any(last_step in dependency for dependency in record.dependencies), "no server would answer yet"


def test_the_record_of_the_zone_itself_is_named_at():
    assert relative("example.org", "example.org") == "@"
    assert relative("www.example.org", "example.org") == "www"


def test_the_project_has_all_resources_that_cost_something(single: Recorder, fleet: Recorder):
    def in_project(stack: Recorder) -> set[str]:
        return set(stack.one(":ProjectResources").inputs["resources"])

    assert in_project(single) == {f"do:droplet:{single.output['servers'][0]['instance_id']}"}
    assert in_project(fleet) == {f"do:droplet:{server['instance_id']}" for server in fleet.output["servers"]}
    # A balancer names its project itself. If the project named the balancer, too, each change would remove it again.
    assert fleet.one(":LoadBalancer").inputs["projectId"] == fleet.one(":Project").id


def test_a_droplet_joins_the_project_after_its_address_has_moved(single: Recorder):
    assert single.one(":ProjectResources").waits_for(":ReservedIpAssignment")


def test_a_vpc_is_deleted_only_after_its_members(single: Recorder, fleet: Recorder):
    for stack in (single, fleet):
        waiter = f"{stack.one(':Emptying').type}::prod-emptying"
        assert stack.one(":Emptying").waits_for(":Vpc")
        for member in [*stack.of_type(":Droplet"), *stack.of_type(":LoadBalancer")]:
            assert waiter in member.dependencies


def test_the_project_is_deleted_after_its_members(single: Recorder, fleet: Recorder):
    """Its deletion moves all that it has to the default project. An address with a droplet can't be moved."""
    for stack in (single, fleet):
        for member in [*stack.of_type(":Droplet"), *stack.of_type(":LoadBalancer"), stack.one(":ProjectResources")]:
            assert member.waits_for(":Project")
    assert single.one(":ReservedIpAssignment").waits_for(":Droplet")


def test_deletions_that_wait_for_other_resources_have_15_minutes(single: Recorder):
    for type_end in (":Droplet", ":Project", ":Vpc"):
        assert single.one(type_end).request.customTimeouts.delete == "15m"


def test_protect_keeps_the_entrypoint(tmp_path: Path):
    for shape, entrypoint in ((DIGITALOCEAN, "ReservedIp"), (BALANCED, "LoadBalancer")):
        stack = build_stack(tmp_path, **shape, protect=True)
        protected = [resource for resource in stack.registrations if resource.request.protect]
        assert {resource.type.rpartition(":")[2] for resource in protected} == {entrypoint}


def test_an_existing_vpc_is_used_and_no_vpc_is_created(tmp_path: Path):
    stack = build_stack(tmp_path, **BALANCED, vpc="11111111-2222-3333-4444-555555555555")
    assert not stack.of_type(":Vpc") + stack.of_type(":Emptying"), "other members of the VPC may stay"
    assert stack.one(":LoadBalancer").inputs["vpcUuid"] == "11111111-2222-3333-4444-555555555555"
    assert "set_real_ip_from 10.9.0.0/16;" in stack.one(":Command", "prod-0-configure").inputs["stdin"]


def test_whether_a_value_that_the_cloud_may_choose_is_set_depends_on_no_setting_but_network(tmp_path: Path):
    """The provider keeps such a value when the program no longer sets it: taking the setting away changes nothing."""
    types = SimulatedDigitalOcean().types()
    shapes: list[dict[str, Any]] = [
        DIGITALOCEAN,
        {**DIGITALOCEAN, **SITE, "backups": True, "storage": 10, "network": "10.110.0.0/20", "protect": True},
        BALANCED,
        {**BALANCED, **SITE, "backups": True},
    ]
    is_set: dict[str, set[bool]] = {}
    for shape in shapes:
        for resource in build_stack(tmp_path, **shape).registrations:
            for path in types[resource.type].schema.computed if resource.type in types else ():
                if "." not in path:
                    kind = resource.type.rpartition(":")[2]
                    is_set.setdefault(f"{kind}.{path}", set()).add(path in resource.inputs)
    assert {path for path, answers in is_set.items() if len(answers) > 1} == {"Vpc.ipRange"}
    assert {path for path, answers in is_set.items() if answers == {True}} == {
        "DnsRecord.ttl",
        "Droplet.region",
        "Droplet.vpcUuid",
        "LoadBalancer.healthcheck",
        "LoadBalancer.httpIdleTimeoutSeconds",
        "LoadBalancer.projectId",
        "LoadBalancer.vpcUuid",
    }
