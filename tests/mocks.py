"""A stack on a cloud as Pulumi's mocks see it: every registration, and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, rpc
from pulumi.runtime.mocks import MockMonitor

from components import fleet
from components.app.source import Release
from tests.stack_settings import settings

AWS: dict[str, Any] = {"target": "aws", "region": "eu-central-1", "ssh_from": ("203.0.113.7/32", "2001:db8::/48")}
DIGITALOCEAN: dict[str, Any] = {"target": "digitalocean", "region": "fra1", "ssh_from": ("203.0.113.7/32",)}
# Of subnets of a given VPC, whose first range holds but one of them.
RANGES = {"subnet-a1": "172.31.0.0/20", "subnet-b1": "100.64.0.0/24"}
# What a name, a certificate and logs add.
SITE: dict[str, Any] = {"domain": "shop.example.org", "zone": "example.org"}


@dataclass
class Made:
    """One registration."""

    type: str
    name: str
    inputs: dict[str, Any]
    custom: bool
    request: Any

    @property
    def waits_for(self) -> set[str]:
        """As type::name."""
        return set(map(short, self.request.dependencies))


@dataclass
class Cloud(Mocks):
    """Answers as the clouds do, and writes everything down."""

    made: list[Made] = field(default_factory=list[Made])
    asked: list[MockCallArgs] = field(default_factory=list[MockCallArgs])
    requests: dict[tuple[str, str], Any] = field(default_factory=dict[tuple[str, str], Any])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        request = self.requests[args.typ, args.name]
        self.made.append(Made(args.typ, args.name, args.inputs, bool(args.custom), request))
        number = len(self.made)
        known = {
            "private_key": "key", "public_key": f"ssh-ed25519 {args.name}", "stdout": f"ssh-ed25519 OWN-{args.name}\n",
            "publicIp": f"198.51.100.{number}", "privateIp": f"10.77.0.{number}", "arn": f"arn:{args.name}",
            "dnsName": "lb.example.net", "zoneId": "Z1", "fqdn": "proof", "ip": "198.51.100.99", "bucket": args.name,
            "ipAddress": "198.51.100.98", "fingerprint": "aa:bb", "ipv4Address": f"198.51.100.{number}",
            "ipv4AddressPrivate": f"10.77.0.{number}", "ipRange": "10.110.0.0/20", "reservedIpUrn": "do:reservedip:1",
            "loadBalancerUrn": "do:loadbalancer:1", "keyName": args.name, "name": f"{args.name}-0a1b2c3",
            "domainValidationOptions": [
                {"domainName": name, "resourceRecordName": f"_p.{name}", "resourceRecordType": "CNAME",
                 "resourceRecordValue": f"v.{name}"}
                for name in ("www.shop.example.org", "shop.example.org")
            ],
        }  # fmt: skip
        return f"{1000 + number}", {**known, **args.inputs}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        self.asked.append(args)
        subnet = str(args.args.get("id"))
        answers: dict[str, dict[str, Any]] = {
            "aws:ec2/getAmi:getAmi": {"id": "ami-1"},
            "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["eu-1b", "eu-1c", "eu-1a"]},
            "aws:ec2/getSubnets:getSubnets": {"ids": ["subnet-a2", "subnet-b1", "subnet-a1"]},
            "aws:ec2/getSubnet:getSubnet": {
                "availabilityZone": f"eu-1{subnet[7:8]}",
                "cidrBlock": RANGES.get(subnet, ""),
            },
            "aws:route53/getZone:getZone": {"zoneId": "Z0EXAMPLE"},
            "digitalocean:index/getVpc:getVpc": {"id": args.args.get("id"), "ipRange": "10.9.0.0/16"},
        }
        return answers[args.token], []

    def of(self, type_: str) -> list[Made]:
        """Those whose type ends like this, such as ``:Instance``."""
        return [each for each in self.made if each.type.endswith(type_)]

    def one(self, type_: str, name: str | None = None) -> Made:
        found = [each for each in self.of(type_) if name is None or each.name == name]
        assert len(found) == 1, f"{len(found)} of {type_}, not one: {[each.name for each in found]}"
        return found[0]

    def counts(self) -> dict[str, int]:
        """How many of each type of the clouds' own."""
        clouds = [each.type for each in self.made if each.type.startswith(("aws:", "digitalocean:"))]
        return {type_: clouds.count(type_) for type_ in sorted(set(clouds))}


def short(urn: str) -> str:
    """As type::name: the mocks' URNs leave some of the parents out."""
    return "::".join(urn.split("::")[-2:]).rpartition("$")[2]


def secret(value: Any) -> bool:
    return isinstance(value, dict) and rpc._special_sig_key in value


def built(folder: Path, monkeypatch: pytest.MonkeyPatch, stack: str = "prod", **changed: Any) -> Cloud:
    """The stack that settings ask for, when everything has drained."""
    cloud = Cloud()
    register = MockMonitor.RegisterResource

    def noted(monitor: MockMonitor, request: Any) -> Any:
        cloud.requests[request.type, request.name] = request
        return register(monitor, request)

    monkeypatch.setattr(MockMonitor, "RegisterResource", noted)
    pulumi.runtime.set_mocks(cloud, project="gantry", stack=stack, preview=False)
    (folder / "app.tar").write_text("app")

    @pulumi.runtime.test
    def build() -> pulumi.Output[Any]:
        made = fleet.build(stack, settings(**changed), Release(name="3f2a91c0ffee", tarball=folder / "app.tar"), folder)
        return pulumi.Output.all(made.url, made.release, made.servers).apply(remember)

    def remember(outputs: list[Any]) -> None:
        cloud.outputs = {"url": outputs[0], "release": outputs[1], "servers": outputs[2]}

    build()
    return cloud
