"""The rules against what is really there: every shape of a stack in a cloud, and the providers' own names."""

from __future__ import annotations

import importlib
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from gantry_policy.pack import RULES
from gantry_policy.rule import Resource, Rule, Stack
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
    "digitalocean, a balancer": {**DIGITALOCEAN, **MANY},
    "digitalocean, all there is": FULL["digitalocean"],
}
EVERYTHING = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
Fault = Callable[[dict[str, Any]], object]
# The rule that must speak when this is done to every resource of a type.
FAULTS: dict[str, tuple[str, Fault]] = {
    "aws-no-ssh-from-anywhere": (":SecurityGroupIngressRule", lambda it: it.update(cidrIpv4="0.0.0.0/0")),
    "aws-pages-only-through-the-balancer": (":SecurityGroupIngressRule", lambda it: it.update(cidrIpv4="10.9.0.0/16")),
    "aws-metadata-needs-a-token": (":Instance", lambda it: it.pop("metadataOptions")),
    "aws-disks-are-encrypted": (":Instance", lambda it: it.pop("rootBlockDevice")),
    "aws-user-data-holds-no-secret": (":Instance", lambda it: it.update(userData=it["userData"] + "# AKIA" + 16 * "7")),
    "aws-http-leads-to-https": (":Listener", lambda it: it.update(defaultActions=[{"type": "forward"}])),
    "aws-servers-may-not-rule-the-account": (":Role", lambda it: it.update(inlinePolicies=[{"policy": EVERYTHING}])),
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
            urn=f"{each.type}::{each.name}",
            type=each.type,
            name=each.name,
            props=uncovered(each.inputs),
            uses={key: frozenset(map(short_urn, used.urns)) for key, used in each.request.propertyDependencies.items()},
        )
        for each in registrations
    ]


def uncovered(value: Any) -> Any:
    """Without the marks of what is secret, as the engine hands it to a pack."""
    if is_secret(value):
        return uncovered(value["value"])
    if isinstance(value, dict):
        return {key: uncovered(each) for key, each in typing.cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [uncovered(each) for each in typing.cast("list[Any]", value)]
    return value


def broken(resources: list[Resource]) -> dict[str, list[tuple[str, str]]]:
    """What each rule says, of those that say something."""
    said = {rule.name: [(each.name, text) for each, text in rule.violations(Stack(resources))] for rule in RULES}
    return {name: texts for name, texts in said.items() if texts}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_resource_of_every_shape_keeps_every_promise(shape: str, tmp_path: Path):
    assert broken(declared(build_stack(tmp_path, **SHAPES[shape]).registrations)) == {}


@pytest.mark.parametrize("rule", FAULTS)
def test_a_real_stack_with_a_fault_breaks_the_promise_about_it(rule: str, tmp_path: Path):
    kind, fault = FAULTS[rule]
    resources = declared(build_stack(tmp_path, **FULL[rule.partition("-")[0]]).registrations)
    faulty = [each for each in resources if each.type.endswith(kind)]
    for each in faulty:
        fault(typing.cast("dict[str, Any]", each.props))
    assert faulty
    assert rule in broken(resources)


@pytest.mark.parametrize("link", ["vpcSecurityGroupIds", "securityGroupId", "referencedSecurityGroupId"])
def test_the_links_that_rules_follow_are_there(link: str, tmp_path: Path):
    resources = declared(build_stack(tmp_path, **FULL["aws"]).registrations)
    assert any(each.uses.get(link) for each in resources)


def used_types() -> set[str]:
    cases = (Path(__file__).parent / "policy").glob("*/*.yaml")
    in_cases = {each["type"] for case in cases for each in yaml.safe_load(case.read_text())["resources"]}
    return in_cases | {kind for rule in RULES if isinstance(rule, Rule) for kind in rule.types}


def sdk_class(kind: str) -> Any:
    """The SDK's class for a type of the provider, such as ec2.Instance for aws:ec2/instance:Instance."""
    package, module, name = kind.split(":")
    if package == "pulumi":
        return importlib.import_module(f"pulumi_{name}").Provider
    area = module.partition("/")[0]
    found = importlib.import_module(f"pulumi_{package}" if area == "index" else f"pulumi_{package}.{area}")
    return getattr(found, name)


def unknown_names(given: Mapping[str, Any], known: Mapping[str, Any], where: str) -> list[str]:
    """The names in ``given`` that the provider doesn't have, at any depth."""
    wrong = [f"{where}.{key}" for key in given if key not in known]
    for key, value in given.items():
        inner: Any = next(iter(typing.get_args(known.get(key))), known.get(key))
        if types.is_output_type(inner):
            fields = types.output_type_types(inner)
            for each in value if isinstance(value, list) else [value]:
                wrong += unknown_names(each, fields, f"{where}.{key}") if isinstance(each, dict) else []
    return wrong


def test_the_cases_use_the_providers_own_names():
    wrong: list[str] = []
    for case in (Path(__file__).parent / "policy").glob("*/*.yaml"):
        for each in yaml.safe_load(case.read_text())["resources"]:
            known = types.resource_types(sdk_class(each["type"]))
            if not each["type"].startswith("pulumi:"):
                wrong += unknown_names(each["props"], known, f"{case.stem}: {each['type']}")
    assert wrong == []


@pytest.mark.parametrize("kind", sorted(used_types()))
def test_every_type_in_the_rules_is_one_of_the_providers(kind: str):
    assert sdk_class(kind)
