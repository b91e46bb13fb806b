"""What DigitalOcean's provider does with inputs before it calls the cloud: refusals, defaults, and what is a change.

Each case was tried with the real provider (pulumi-digitalocean 4.76, Terraform provider 2.99).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clouds.engine_client import EngineClient, ProviderError
from tests.clouds.provider import META
from tests.clouds.resource_schema import DEFAULTS
from tests.clouds.simulated_cloud import token_of
from tools.offline.command_plugin.values import UNKNOWN

RULE = {"entryPort": 80, "entryProtocol": "http", "targetPort": 80, "targetProtocol": "http"}
CHECK = {"port": 80, "protocol": "http", "path": "/"}
HTTPS_RULE = {**RULE, "entryPort": 443, "entryProtocol": "https"}
OLD_RULES = [{**HTTPS_RULE, "certificateName": "c"}, RULE]
SSH = {"protocol": "tcp", "portRange": "22", "sourceAddresses": ["10.0.0.0/8", "::1/128"]}
WEB = {"protocol": "tcp", "portRange": "80", "sourceTags": ["a", "b"]}
# Inputs that the provider accepts, by type.
INPUTS: dict[str, dict[str, Any]] = {
    "Certificate": {"type": "lets_encrypt", "domains": ["example.org", "www.example.org"]},
    "DnsRecord": {"domain": "example.org", "type": "A", "name": "www", "value": "198.18.0.1", "ttl": 60},
    "Domain": {"name": "example.org"},
    "Droplet": {
        "image": "debian-13-x64", "size": "s-1vcpu-1gb", "region": "fra1", "vpcUuid": "v", "sshKeys": ["1", "2"],
        "tags": ["a", "b"],
    },
    "Firewall": {"inboundRules": [SSH, WEB], "tags": ["a", "b"]},
    "LoadBalancer": {
        "region": "fra1", "vpcUuid": "v", "forwardingRules": [RULE, {**RULE, "entryPort": 81}], "healthcheck": CHECK,
        "projectId": "p", "httpIdleTimeoutSeconds": 70,
    },
    "Project": {"environment": "production"},
    "ProjectResources": {"project": "p", "resources": ["do:droplet:1", "do:droplet:2"]},
    "ReservedIp": {"region": "fra1"},
    "ReservedIpAssignment": {"dropletId": 1, "ipAddress": "198.18.0.1"},
    "SpacesBucket": {"region": "fra1"},
    "SshKey": {"publicKey": "ssh-ed25519 AAAA it"},
    "Tag": {},
    "Volume": {"region": "fra1", "size": 10, "tags": ["a", "b"]},
    "VolumeAttachment": {"dropletId": 1, "volumeId": "v"},
    "Vpc": {"region": "fra1", "ipRange": "10.110.0.0/20"},
}  # fmt: skip


def token(type_: str) -> str:
    return token_of("digitalocean", "index", type_)


def inputs_of(type_: str, changes: dict[str, Any]) -> dict[str, Any]:
    """The inputs of the type, with changes; None takes one away."""
    return {key: value for key, value in {**INPUTS[type_], **changes}.items() if value is not None}


@pytest.mark.parametrize("type_", INPUTS)
def test_the_inputs_of_this_module_are_accepted(digitalocean_engine: EngineClient, type_: str):
    digitalocean_engine.check(token(type_), "it", INPUTS[type_])


@pytest.mark.parametrize(
    ("type_", "changes", "message"),
    [
        # Thresholds, sizes and times.
        ("LoadBalancer", {"healthcheck": {**CHECK, "healthyThreshold": 1}}, "expected 2 to 10, got 1"),
        ("LoadBalancer", {"healthcheck": {**CHECK, "unhealthyThreshold": 11}}, "expected 2 to 10, got 11"),
        ("LoadBalancer", {"healthcheck": {**CHECK, "checkIntervalSeconds": 2}}, "expected 3 to 300, got 2"),
        ("LoadBalancer", {"healthcheck": {**CHECK, "responseTimeoutSeconds": 301}}, "expected 3 to 300, got 301"),
        ("LoadBalancer", {"sizeUnit": 0}, "expected 1 to 200, got 0"),
        ("LoadBalancer", {"size": "huge"}, "expected one of lb-small"),
        ("Volume", {"size": 0}, "expected at least 1, got 0"),
        ("DnsRecord", {"ttl": 0}, "expected at least 1, got 0"),
        ("Vpc", {"description": "x" * 256}, "at most 255 characters"),
        ("Project", {"name": "x" * 176}, "at most 175 characters"),
        # Protocols, cipher policy and other choices.
        ("LoadBalancer", {"forwardingRules": [{**RULE, "entryProtocol": "HTTP"}]}, "expected one of http, https"),
        ("LoadBalancer", {"forwardingRules": [{**RULE, "targetProtocol": "http3"}]}, "got http3"),
        ("LoadBalancer", {"healthcheck": {**CHECK, "protocol": "udp"}}, "got udp"),
        ("LoadBalancer", {"tlsCipherPolicy": "WEAK"}, "expected one of DEFAULT, STRONG, got WEAK"),
        ("LoadBalancer", {"network": "LOCAL"}, "got LOCAL"),
        ("Firewall", {"inboundRules": [{**SSH, "protocol": "TCP"}]}, "expected one of tcp, udp, icmp, got TCP"),
        ("DnsRecord", {"type": "a"}, "got a"),
        ("Certificate", {"type": "own"}, "expected one of custom, lets_encrypt"),
        ("Droplet", {"backups": True, "backupPolicy": {"plan": "hourly"}}, "expected one of daily, weekly"),
        ("Volume", {"initialFilesystemType": "btrfs"}, "expected one of ext4, xfs"),
        ("SpacesBucket", {"region": "mars1"}, "got mars1"),
        ("Project", {"environment": "test"}, "expected one of development"),
        # Addresses.
        ("Vpc", {"ipRange": "10.110.0.0"}, "expected a valid CIDR value"),
        ("Vpc", {"ipRange": "10.110.0.0/255.255.240.0"}, "expected a valid CIDR value"),
        ("ReservedIpAssignment", {"ipAddress": "::1"}, "expected a valid IPv4 address"),
        # What excludes or needs something else.
        ("LoadBalancer", {"dropletIds": [1], "dropletTag": "a"}, "dropletIds conflicts with dropletTag"),
        ("Certificate", {"privateKey": "k"}, "domains conflicts with privateKey"),
        ("Droplet", {"backupPolicy": {"plan": "daily"}}, "backupPolicy needs backups"),
        # Missing and empty ports, paths, rules and names.
        ("LoadBalancer", {"forwardingRules": []}, "must not be empty"),
        ("LoadBalancer", {"forwardingRules": [{**RULE, "entryPort": 70000}]}, "expected 1 to 65535, got 70000"),
        ("LoadBalancer", {"healthcheck": {"port": 80, "protocol": "http"}}, "`path` is required"),
        ("LoadBalancer", {"healthcheck": {**CHECK, "protocol": "tcp"}}, "`path` is not allowed"),
        ("LoadBalancer", {"region": None}, "missing 'region' value"),
        ("Firewall", {"inboundRules": [{"protocol": "tcp"}]}, "`portRange` of a rule is required"),
        ("Firewall", {"outboundRules": [{"protocol": "udp"}]}, "`portRange` of a rule is required"),
        ("Firewall", {"inboundRules": [{**SSH, "sourceAddresses": [""]}]}, "must not be empty"),
        ("Firewall", {"inboundRules": None}, "At least one rule must be specified"),
        ("Droplet", {"userData": ""}, "must not be empty"),
        ("VolumeAttachment", {"dropletId": 0}, "must not be empty"),
        # Tags.
        ("Tag", {"name": "a b"}, "tags have up to 255 letters"),
        ("Droplet", {"tags": ["a", "b c"]}, "'b c': tags have"),
        ("Firewall", {"inboundRules": [{**WEB, "sourceTags": ["b c"]}]}, "'b c': tags have"),
    ],
)  # fmt: skip
def test_thresholds_protocols_addresses_conflicts_and_missing_ports_or_paths_are_refused_in_a_preview(
    digitalocean_engine: EngineClient, type_: str, changes: dict[str, Any], message: str
):
    with pytest.raises(ProviderError, match=message):
        digitalocean_engine.check(token(type_), "it", inputs_of(type_, changes))


@pytest.mark.parametrize(
    ("type_", "changes"),
    [
        ("Droplet", {"name": "under_score"}),
        ("Vpc", {"name": "under_score"}),
        ("LoadBalancer", {"name": "under_score"}),
        ("Volume", {"name": "x" * 65}),
        ("Vpc", {"ipRange": "8.8.0.0/16"}),
        ("Firewall", {"inboundRules": [{**SSH, "portRange": "x"}]}),
        ("LoadBalancer", {"tlsCipherPolicy": "strong"}),
        ("Firewall", {"inboundRules": [{"protocol": "icmp"}]}),
    ],
)
def test_names_and_ranges_that_only_the_cloud_refuses_pass_the_check(
    digitalocean_engine: EngineClient, type_: str, changes: dict[str, Any]
):
    digitalocean_engine.check(token(type_), "it", inputs_of(type_, changes))


@pytest.mark.parametrize(
    ("type_", "input_"), [(type_, input_) for type_, inputs in INPUTS.items() for input_ in inputs]
)
def test_an_unknown_value_is_not_refused_in_a_preview(digitalocean_engine: EngineClient, type_: str, input_: str):
    digitalocean_engine.check(token(type_), "it", inputs_of(type_, {input_: UNKNOWN}))


@pytest.mark.parametrize(
    ("type_", "changes", "message"),
    [
        ("Droplet", {"name": "under_score"}, "'under_score' is not a valid name"),
        ("Vpc", {"name": "under_score"}, "'under_score' is not a valid name"),
        ("Vpc", {"ipRange": "10.110.0.1/20"}, "has host bits set"),
        ("Vpc", {"ipRange": "8.8.0.0/16"}, "isn't private"),
        ("Firewall", {"inboundRules": [{**SSH, "portRange": "x"}], "tags": None}, "'x' is not a valid port range"),
    ],
)
def test_a_name_with_an_underscore_and_wrong_ranges_are_refused_when_the_cloud_creates_it(
    digitalocean_engine: EngineClient, type_: str, changes: dict[str, Any], message: str
):
    with pytest.raises(ProviderError, match=f"422: .*{message}"):
        digitalocean_engine.create(token(type_), **inputs_of(type_, changes))


@pytest.mark.parametrize(
    ("type_", "defaults"),
    [
        ("Droplet", {"resizeDisk": True}),
        ("Project", {"purpose": "Web Application"}),
        ("SpacesBucket", {"acl": "private", "region": "nyc3"}),
    ],
)
def test_the_bridge_adds_defaults_such_as_resize_disk_to_the_inputs_and_lists_them(
    digitalocean_engine: EngineClient, type_: str, defaults: dict[str, Any]
):
    inputs = digitalocean_engine.check(token(type_), "it", inputs_of(type_, dict.fromkeys(defaults)))
    assert {key: inputs[key] for key in defaults} == defaults
    assert inputs[DEFAULTS] == sorted({*defaults, "name"})


def test_the_bridge_adds_the_defaults_of_a_health_check(digitalocean_engine: EngineClient):
    inputs = digitalocean_engine.check(token("LoadBalancer"), "it", INPUTS["LoadBalancer"])
    times = {
        "checkIntervalSeconds": 10, "responseTimeoutSeconds": 5, "healthyThreshold": 5, "unhealthyThreshold": 3,
    }  # fmt: skip
    assert inputs["healthcheck"] == {**CHECK, **times}


def changes_between(engine: EngineClient, type_: str, olds: dict[str, Any], news: dict[str, Any]) -> Any:
    """The diff between two programs. ``olds`` and ``news`` are changes of ``INPUTS``."""
    old = engine.check(token(type_), "it", inputs_of(type_, olds))
    new = engine.check(token(type_), "it", inputs_of(type_, news), olds=old)
    return engine.diff(token(type_), old, new, state={**old, META: json.dumps({"schema_version": "1"})})


@pytest.mark.parametrize(
    ("type_", "taken_away"),
    [
        ("LoadBalancer", {"projectId": None}),
        ("LoadBalancer", {"httpIdleTimeoutSeconds": None}),
        ("LoadBalancer", {"healthcheck": None}),
        ("LoadBalancer", {"vpcUuid": None}),
        ("LoadBalancer", {"forwardingRules": [RULE, HTTPS_RULE]}),
        ("DnsRecord", {"ttl": None}),
        ("Droplet", {"region": None, "vpcUuid": None}),
        ("Vpc", {"ipRange": None}),
    ],
)
def test_an_optional_computed_input_that_is_taken_away_is_no_change(
    digitalocean_engine: EngineClient, type_: str, taken_away: dict[str, Any]
):
    olds = {key: OLD_RULES for key in taken_away if key == "forwardingRules"}
    assert not changes_between(digitalocean_engine, type_, olds, taken_away).diffs


@pytest.mark.parametrize(
    ("type_", "olds", "changed"),
    [
        # Their default in Terraform is false. It is no computed value.
        ("Droplet", {"backups": True}, ["backups"]),
        ("LoadBalancer", {"redirectHttpToHttps": True}, ["redirectHttpToHttps"]),
        ("LoadBalancer", {"healthcheck": {**CHECK, "checkIntervalSeconds": 5}}, ["healthcheck"]),
        ("LoadBalancer", {"tlsCipherPolicy": "STRONG"}, ["tlsCipherPolicy"]),
        ("Volume", {"description": "it"}, ["description"]),
    ],
)
def test_another_input_that_is_taken_away_is_a_change(
    digitalocean_engine: EngineClient, type_: str, olds: dict[str, Any], changed: list[str]
):
    assert list(changes_between(digitalocean_engine, type_, olds, {}).diffs) == changed


@pytest.mark.parametrize(
    ("type_", "changes"),
    [
        ("LoadBalancer", {"forwardingRules": [{**RULE, "entryPort": 81}, RULE]}),
        ("Firewall", {"inboundRules": [WEB, SSH]}),
        ("Firewall", {"inboundRules": [{**SSH, "sourceAddresses": ["::1/128", "10.0.0.0/8"]}, WEB]}),
        ("Firewall", {"inboundRules": [SSH, {**WEB, "sourceTags": ["b", "a"]}]}),
        ("Firewall", {"tags": ["b", "a"]}),
        ("Firewall", {"inboundRules": [SSH, WEB, WEB], "tags": ["a", "b", "b"]}),
        ("Droplet", {"sshKeys": ["2", "1"], "tags": ["b", "a"]}),
        ("Certificate", {"domains": ["www.example.org", "example.org"]}),
        ("ProjectResources", {"resources": ["do:droplet:2", "do:droplet:1"]}),
        ("Volume", {"tags": ["b", "a"]}),
    ],
)
def test_another_order_of_rules_addresses_domains_keys_and_tags_is_no_change(
    digitalocean_engine: EngineClient, type_: str, changes: dict[str, Any]
):
    assert not changes_between(digitalocean_engine, type_, {}, changes).diffs


@pytest.mark.parametrize(
    ("type_", "changes"),
    [
        ("SshKey", {"publicKey": "ssh-ed25519 AAAA it\n"}),
        ("Droplet", {"size": "S-1VCPU-1GB", "region": "FRA1"}),
        ("Droplet", {"tags": ["A", "B"]}),
        ("LoadBalancer", {"region": "FRA1"}),
        ("Volume", {"region": "FRA1"}),
        ("ReservedIp", {"region": "FRA1"}),
        ("Project", {"environment": "Production"}),
    ],
)
def test_a_newline_after_a_public_key_and_a_size_or_region_in_capitals_are_no_change(
    digitalocean_engine: EngineClient, type_: str, changes: dict[str, Any]
):
    assert not changes_between(digitalocean_engine, type_, {}, changes).diffs


@pytest.mark.parametrize("changes", [{"type": "TXT"}, {"domain": "example.net"}])
def test_another_type_or_domain_of_a_dns_record_deletes_the_old_record_first(
    digitalocean_engine: EngineClient, changes: dict[str, Any]
):
    diff = changes_between(digitalocean_engine, "DnsRecord", {}, changes)
    assert list(diff.replaces) == list(changes)
    assert diff.deleteBeforeReplace
