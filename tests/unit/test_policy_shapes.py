"""The rules against real stacks of every shape, and against the names in the providers' SDKs."""

from __future__ import annotations

import importlib
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from gantry_policy.pack import RULES
from gantry_policy.rules import Resource, Rule, Stack
from pulumi import _types as types

from tests.mocks import AWS, DIGITALOCEAN, SITE, Registration, build_stack, is_secret, short_urn

MANY = {"servers": 2, "balancer": True}
FULL = {
    "aws": {**AWS, **MANY, **SITE, "access_logs": True},
    "digitalocean": {**DIGITALOCEAN, **MANY, **SITE},
}
SHAPES: dict[str, dict[str, Any]] = {
    "aws, one server": AWS,
    "aws, one server with a name": {**AWS, **SITE},
    "aws, one server in a network that is there": {**AWS, "vpc": "vpc-0a1b2c3d"},
    "aws, one server with a volume": {**AWS, "storage": 20},
    "aws, a volume that may be deleted": {**AWS, "storage": 20, "delete_storage": True},
    "aws, a balancer": {**AWS, **MANY},
    "aws, all there is": FULL["aws"],
    "digitalocean, one server": DIGITALOCEAN,
    "digitalocean, one server with a name": {**DIGITALOCEAN, **SITE},
    "digitalocean, one server with what is there": {
        **DIGITALOCEAN,
        "vpc": "c0ffee",
        "ssh_key": "aa:bb",
        "backups": True,
    },
    "digitalocean, one server with a volume": {**DIGITALOCEAN, "storage": 20},
    "digitalocean, a volume that may be deleted": {**DIGITALOCEAN, "storage": 20, "delete_storage": True},
    "digitalocean, a balancer": {**DIGITALOCEAN, **MANY},
    "digitalocean, all there is": FULL["digitalocean"],
}
EVERYTHING = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
Fault = Callable[[dict[str, Any]], object]
# For each rule, the type of resource to damage and the damage that the rule must find.
FAULTS: dict[str, tuple[str, Fault]] = {
    "aws-no-ssh-from-anywhere": (":SecurityGroupIngressRule", lambda it: it.update(cidrIpv4="0.0.0.0/0")),
    "aws-pages-only-through-the-balancer": (":SecurityGroupIngressRule", lambda it: it.update(cidrIpv4="10.9.0.0/16")),
    "aws-metadata-needs-a-token": (":Instance", lambda it: it.pop("metadataOptions")),
    "aws-disks-are-encrypted": (":Instance", lambda it: it.pop("rootBlockDevice")),
    "aws-user-data-holds-no-secret": (":Instance", lambda it: it.update(userData=it["userData"] + "# AKIA" + 16 * "7")),
    "aws-http-leads-to-https": (":Listener", lambda it: it.update(defaultActions=[{"type": "forward"}])),
    "aws-servers-may-not-rule-the-account": (":Role", lambda it: it.update(inlinePolicies=[{"policy": EVERYTHING}])),
    "aws-servers-may-not-read-all-secrets": (":RolePolicy", lambda it: it.update(policy=EVERYTHING)),
    "aws-tls-is-current": (":Listener", lambda it: it.pop("sslPolicy", None)),
    "aws-invalid-headers-are-dropped": (":LoadBalancer", lambda it: it.pop("dropInvalidHeaderFields")),
    "aws-request-smuggling-is-stopped": (":LoadBalancer", lambda it: it.pop("desyncMitigationMode")),
    "aws-buckets-are-private": (":BucketPublicAccessBlock", lambda it: it.pop("blockPublicAcls")),
    "aws-everything-is-tagged": ("pulumi:providers:aws", lambda it: it.pop("defaultTags")),
    "digitalocean-no-ssh-from-anywhere": (":Firewall", lambda it: _rules(it, sourceAddresses=["::/0"])),
    "digitalocean-pages-only-through-the-balancer": (":Firewall", lambda it: _rules(it, sourceTags=["web"])),
    "digitalocean-droplets-have-keys": (":Droplet", lambda it: it.pop("sshKeys")),
    "digitalocean-droplets-are-monitored": (":Droplet", lambda it: it.pop("monitoring")),
    "digitalocean-http-leads-to-https": (":LoadBalancer", lambda it: it.pop("redirectHttpToHttps")),
    "digitalocean-tls-is-current": (":LoadBalancer", lambda it: it.pop("tlsCipherPolicy")),
}


def _rules(firewall: dict[str, Any], **sources: list[str]) -> None:
    for rule in firewall["inboundRules"]:
        rule.update(sources)


def declared(registrations: list[Registration]) -> list[Resource]:
    return [
        Resource(
            urn=f"{registration.type}::{registration.name}",
            type=registration.type,
            name=registration.name,
            props=without_secret_marks(registration.inputs),
            uses={
                key: frozenset(map(short_urn, used.urns))
                for key, used in registration.request.propertyDependencies.items()
            },
            protected=registration.request.protect,
        )
        for registration in registrations
    ]


def without_secret_marks(value: Any) -> Any:
    """The plain value, as the engine passes it to a policy pack."""
    if is_secret(value):
        return without_secret_marks(value["value"])
    if isinstance(value, dict):
        return {key: without_secret_marks(item) for key, item in typing.cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [without_secret_marks(item) for item in typing.cast("list[Any]", value)]
    return value


def violations(resources: list[Resource]) -> dict[str, list[tuple[str, str]]]:
    """The violations by rule, without the rules that find none."""
    by_rule = {
        rule.name: [(resource.name, message) for resource, message in rule.violations(Stack(resources))]
        for rule in RULES
    }
    return {name: messages for name, messages in by_rule.items() if messages}


@pytest.mark.parametrize("shape", SHAPES)
def test_no_resource_of_any_shape_violates_a_rule(shape: str, tmp_path: Path):
    assert violations(declared(build_stack(tmp_path, **SHAPES[shape]).registrations)) == {}


@pytest.mark.parametrize("rule", FAULTS)
def test_a_rule_finds_its_fault_in_a_real_stack(rule: str, tmp_path: Path):
    kind, fault = FAULTS[rule]
    resources = declared(build_stack(tmp_path, **FULL[rule.partition("-")[0]]).registrations)
    faulty = [resource for resource in resources if resource.type.endswith(kind)]
    for resource in faulty:
        fault(typing.cast("dict[str, Any]", resource.props))
    assert faulty
    assert rule in violations(resources)


@pytest.mark.parametrize("link", ["vpcSecurityGroupIds", "securityGroupId", "referencedSecurityGroupId"])
def test_the_links_that_rules_follow_exist(link: str, tmp_path: Path):
    resources = declared(build_stack(tmp_path, **FULL["aws"]).registrations)
    assert any(resource.uses.get(link) for resource in resources)


def resources_in_cases() -> list[tuple[str, dict[str, Any]]]:
    """Each resource in a case, with the name of its case."""
    cases = (Path(__file__).parent / "policy").glob("*/*.yaml")
    return [(case.stem, resource) for case in cases for resource in yaml.safe_load(case.read_text())["resources"]]


def used_types() -> set[str]:
    in_cases = {resource["type"] for _, resource in resources_in_cases()}
    return in_cases | {kind for rule in RULES if isinstance(rule, Rule) for kind in rule.types}


def sdk_class(kind: str) -> Any:
    """The SDK's class for a resource type, such as ec2.Instance for aws:ec2/instance:Instance."""
    package, module, name = kind.split(":")
    if package == "pulumi":
        return importlib.import_module(f"pulumi_{name}").Provider
    area = module.partition("/")[0]
    sdk_module = importlib.import_module(f"pulumi_{package}" if area == "index" else f"pulumi_{package}.{area}")
    return getattr(sdk_module, name)


def unknown_names(props: Mapping[str, Any], sdk_types: Mapping[str, Any], path: str) -> list[str]:
    """The names in ``props``, at any depth, that the SDK doesn't have."""
    unknown = [f"{path}.{key}" for key in props if key not in sdk_types]
    for key, value in props.items():
        inner: Any = next(iter(typing.get_args(sdk_types.get(key))), sdk_types.get(key))
        if types.is_output_type(inner):
            fields = types.output_type_types(inner)
            for item in value if isinstance(value, list) else [value]:
                unknown += unknown_names(item, fields, f"{path}.{key}") if isinstance(item, dict) else []
    return unknown


def test_the_cases_use_the_providers_own_names():
    unknown: list[str] = []
    for case, resource in resources_in_cases():
        sdk_types = types.resource_types(sdk_class(resource["type"]))
        if not resource["type"].startswith("pulumi:"):
            unknown += unknown_names(resource["props"], sdk_types, f"{case}: {resource['type']}")
    assert unknown == []


@pytest.mark.parametrize("kind", sorted(used_types()))
def test_every_type_in_the_rules_exists_in_a_providers_sdk(kind: str):
    assert sdk_class(kind)
