from __future__ import annotations

import re
from pathlib import Path

import pytest

from components import membership
from components.digitalocean.dns import relative
from tests.cloud import DIGITALOCEAN, SITE, Cloud, built, secret

MANY = {**DIGITALOCEAN, "servers": 2, "balancer": True}


@pytest.fixture
def single(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """One server with an address."""
    return built(tmp_path, monkeypatch, **DIGITALOCEAN)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Two servers behind a balancer."""
    return built(tmp_path, monkeypatch, **MANY)


def inbound(cloud: Cloud) -> list[tuple[str | None, list[str]]]:
    """Ports, and from where, of all firewalls."""
    rules = [rule for each in cloud.of(":Firewall") for rule in each.inputs.get("inboundRules", [])]
    return [
        (rule.get("portRange"), rule.get("sourceAddresses") or [f"lb:{uid}" for uid in rule["sourceLoadBalancerUids"]])
        for rule in rules
        if rule["protocol"] != "icmp"
    ]


def test_a_single_server_admits_ssh_from_the_named_networks_and_visitors_from_anywhere(single: Cloud):
    everywhere = ["0.0.0.0/0", "::/0"]
    assert sorted(inbound(single), key=str) == sorted(
        [("22", ["203.0.113.7/32"]), ("80", everywhere), ("443", everywhere)], key=str
    )


def test_behind_a_balancer_it_alone_may_ask_for_pages(fleet: Cloud):
    balancer = str(1001 + fleet.made.index(fleet.one(":LoadBalancer")))
    assert sorted(inbound(fleet), key=str) == sorted([("22", ["203.0.113.7/32"]), ("80", [f"lb:{balancer}"])], key=str)
    for number in (0, 1):
        stdin = fleet.one(":Command", f"prod-{number}-configure").inputs["stdin"]
        assert "set_real_ip_from 10.110.0.0/20;" in stdin


def test_a_droplet_is_born_with_its_firewall(fleet: Cloud):
    for droplet in fleet.of(":Droplet"):
        tag = fleet.one(":Tag")
        assert droplet.inputs["tags"] == [f"{tag.name}-0a1b2c3"]
        assert any(":Firewall::" in each for each in droplet.waits_for)
    assert all(each.inputs["tags"] == ["prod-0a1b2c3"] for each in fleet.of(":Firewall"))


def test_a_droplet_never_comes_without_a_key_that_would_mean_a_password_by_mail(
    single: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert single.one(":Droplet").inputs["sshKeys"] == ["aa:bb"]
    given = built(tmp_path, monkeypatch, **DIGITALOCEAN, ssh_key="cc:dd")
    assert given.one(":Droplet").inputs["sshKeys"] == ["cc:dd"]
    assert not given.of("index/sshKey:SshKey"), "a key that is in use already can't be made a second time"


def test_a_droplet_is_watched_and_replaced_for_another_size(single: Cloud):
    droplet = single.one(":Droplet")
    assert droplet.inputs["monitoring"] is True
    assert (droplet.inputs["image"], droplet.inputs["backups"]) == ("debian-13-x64", False)
    assert list(droplet.request.replaceOnChanges) == ["size"]
    assert secret(droplet.inputs["userData"])


def test_backups_are_made_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert built(tmp_path, monkeypatch, **DIGITALOCEAN, backups=True).one(":Droplet").inputs["backups"] is True


def test_the_address_moves_after_the_release_and_ssh_keeps_the_droplets_own(single: Cloud):
    assignment = single.one(":ReservedIpAssignment")
    assert "command:remote:Command::prod-0-release" in assignment.waits_for
    (server,) = single.outputs["servers"]
    assert assignment.inputs["dropletId"] == int(server["instance_id"])
    assert single.outputs["url"] == f"http://{assignment.inputs['ipAddress']}/" != f"http://{server['address']}/"
    assert single.one(":Command", "prod-0-release").inputs["connection"]["value"]["host"] == server["address"]


def test_the_balancer_knows_servers_by_their_tag_so_that_old_and_new_overlap(fleet: Cloud):
    inputs = fleet.one(":LoadBalancer").inputs
    assert inputs["dropletTag"] == "prod-0a1b2c3"
    assert "dropletIds" not in inputs


def test_the_balancer_asks_often_and_keeps_connections_shorter_than_nginx(fleet: Cloud):
    inputs = fleet.one(":LoadBalancer").inputs
    assert inputs["healthcheck"] == {
        "protocol": "http", "port": 80, "path": "/healthz", "checkIntervalSeconds": 5, "responseTimeoutSeconds": 3,
        "healthyThreshold": 2, "unhealthyThreshold": 2,
    }  # fmt: skip
    assert 60 < inputs["httpIdleTimeoutSeconds"] < 75


def test_no_server_leaves_before_the_new_ones_serve_and_are_found_healthy(fleet: Cloud):
    for number in (0, 1):
        joined = fleet.one(":Command", f"prod-{number}-joined")
        assert {f"command:remote:Command::prod-{each}-confirm" for each in (0, 1)} <= joined.waits_for
        assert any(":LoadBalancer::" in each for each in joined.waits_for)
        assert any(each.endswith("-balancer-web") for each in joined.waits_for)
        settle = re.search(r"gantry wait-for-balancer --settle (\d+) --limit 300 --from 10\.", joined.inputs["create"])
        assert settle and int(settle[1]) > 5 * 2


def test_a_server_leaves_before_its_droplet_is_gone(fleet: Cloud):
    for number in (0, 1):
        leaving = fleet.one(":Leaving", f"prod-{number}-leaving")
        assert f"digitalocean:index/droplet:Droplet::prod-{number}" in leaving.waits_for
        assert leaving.inputs["seconds"] == membership.SETTLE_SECONDS + 30
        assert secret(leaving.inputs["private_key"])


def test_with_a_zone_http_is_sent_to_https_with_a_managed_certificate(
    fleet: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert fleet.one(":LoadBalancer").inputs["redirectHttpToHttps"] is False
    cloud = built(tmp_path, monkeypatch, **MANY, **SITE)
    assert cloud.one(":Certificate").inputs["type"] == "lets_encrypt"
    assert cloud.one(":Certificate").inputs["domains"] == ["shop.example.org", "www.shop.example.org"]
    inputs = cloud.one(":LoadBalancer").inputs
    assert inputs["redirectHttpToHttps"] is True
    assert inputs["tlsCipherPolicy"] == "STRONG"
    ports = {rule["entryPort"]: rule for rule in inputs["forwardingRules"]}
    assert ports[443]["certificateName"] == f"{cloud.one(':Certificate').name}-0a1b2c3"
    assert {(rule["targetPort"], rule["targetProtocol"]) for rule in ports.values()} == {(80, "http")}
    assert cloud.outputs["url"] == "https://shop.example.org/"


def test_with_a_zone_the_names_lead_to_the_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for shape in (DIGITALOCEAN, MANY):
        cloud = built(tmp_path, monkeypatch, **shape, **SITE)
        records = {each.inputs["name"]: each.inputs for each in cloud.of(":DnsRecord")}
        assert set(records) == {"shop", "www.shop"}
        assert {each["domain"] for each in records.values()} == {"example.org"}
        site = cloud.of(":ReservedIp") or cloud.of(":LoadBalancer")
        assert len(site) == 1
        assert len({each["value"] for each in records.values()}) == 1
        ready = "ReservedIpAssignment::" if shape is DIGITALOCEAN else "-joined"
        for record in cloud.of(":DnsRecord"):
            assert any(ready in each for each in record.waits_for), "visitors would be led to nobody"


def test_the_zone_itself_is_called_at():
    assert relative("example.org", "example.org") == "@"
    assert relative("www.example.org", "example.org") == "www"


def test_the_project_holds_all_that_costs_something(single: Cloud, fleet: Cloud):
    def held(cloud: Cloud) -> set[str]:
        return set(cloud.one(":ProjectResources").inputs["resources"])

    assert held(single) == {f"do:droplet:{single.outputs['servers'][0]['instance_id']}"}
    assert held(fleet) == {f"do:droplet:{each['instance_id']}" for each in fleet.outputs["servers"]}
    # A balancer names its project itself: told of it from two sides, each change of it would take it out again.
    project = str(1001 + fleet.made.index(fleet.one(":Project")))
    assert fleet.one(":LoadBalancer").inputs["projectId"] == project


def test_a_droplet_comes_into_the_project_when_its_address_has_moved(single: Cloud):
    assert any(":ReservedIpAssignment::" in each for each in single.one(":ProjectResources").waits_for)


def test_a_vpc_goes_when_all_that_was_in_it_has_left(single: Cloud, fleet: Cloud):
    for cloud in (single, fleet):
        emptying = f"{cloud.one(':Emptying').type}::prod-emptying"
        assert any(":Vpc::" in each for each in cloud.one(":Emptying").waits_for)
        for member in [*cloud.of(":Droplet"), *cloud.of(":LoadBalancer")]:
            assert emptying in member.waits_for


def test_what_must_wait_for_others_to_go_has_the_time_for_that(single: Cloud):
    for kind in (":Droplet", ":Project", ":Vpc"):
        assert single.one(kind).request.customTimeouts.delete == "15m"


def test_protect_keeps_what_visitors_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for shape, kept in ((DIGITALOCEAN, "ReservedIp"), (MANY, "LoadBalancer")):
        cloud = built(tmp_path, monkeypatch, **shape, protect=True)
        assert {each.type.rpartition(":")[2] for each in cloud.made if each.request.protect} == {kept}


def test_a_given_vpc_is_used_and_none_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cloud = built(tmp_path, monkeypatch, **MANY, vpc="11111111-2222-3333-4444-555555555555")
    assert not cloud.of(":Vpc") + cloud.of(":Emptying"), "what somebody else has in it may stay"
    assert cloud.one(":LoadBalancer").inputs["vpcUuid"] == "11111111-2222-3333-4444-555555555555"
    assert "set_real_ip_from 10.9.0.0/16;" in cloud.one(":Command", "prod-0-configure").inputs["stdin"]
