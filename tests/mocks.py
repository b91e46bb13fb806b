"""Runs programs against Pulumi's mocks, and records every registration with its inputs and dependencies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, rpc
from pulumi.runtime.mocks import MockMonitor

from components import fleet, stack_state
from components.app.source import Release
from components.settings.common import Settings
from tests.stack_settings import make_settings

AWS: dict[str, Any] = {"target": "aws", "region": "eu-central-1", "ssh_from": ("203.0.113.7/32", "2001:db8::/48")}
DIGITALOCEAN: dict[str, Any] = {"target": "digitalocean", "region": "fra1", "ssh_from": ("203.0.113.7/32",)}
# With these, a stack gets DNS records, and a certificate if it has a balancer.
SITE: dict[str, Any] = {"domain": "shop.example.org", "zone": "example.org"}
# The ranges of an existing VPC's subnets. The VPC's own first range contains only one of them.
ELASTIC_IP = "198.51.100.201"
# What EC2 reports of every instance.
INSTANCE = {"publicIp": "198.51.100.200"}
SUBNET_RANGES = {"subnet-a1": "172.31.0.0/20", "subnet-b1": "100.64.0.0/24"}


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One registered resource. ``request`` is the engine's message, with the resource's options."""

    type: str
    name: str
    id: str
    inputs: dict[str, Any]
    custom: bool
    request: Any

    @property
    def dependencies(self) -> set[str]:
        """The resources that the engine finishes before this one, as type::name."""
        return set(map(short_urn, self.request.dependencies))

    @property
    def dependency_names(self) -> set[str]:
        return {dependency.rpartition("::")[2] for dependency in self.dependencies}

    def waits_for(self, type_end: str, name: str | None = None) -> bool:
        """Whether it depends on a resource whose type ends with ``type_end``, such as ``:Instance``."""
        pairs = [dependency.rpartition("::") for dependency in self.dependencies]
        return any(type_.endswith(type_end) and name in (None, other_name) for type_, _, other_name in pairs)


@dataclass
class Recorder(Mocks):
    """Answers as the targets' providers would, and records everything."""

    registrations: list[Registration] = field(default_factory=list[Registration])
    lookups: list[MockCallArgs] = field(default_factory=list[MockCallArgs])
    # The state that the program finds: type and outputs of each resource, by its URN.
    state: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    # What the program's last output resolved to.
    output: Any = None
    requests: dict[tuple[str, str], Any] = field(default_factory=dict[tuple[str, str], Any])

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        number = len(self.registrations) + 1
        registration = Registration(
            type=args.typ,
            name=args.name,
            id=f"{1000 + number}",
            inputs=args.inputs,
            custom=bool(args.custom),
            request=self.requests[args.typ, args.name],
        )
        self.registrations.append(registration)
        address = {"publicIp": ELASTIC_IP} if args.typ == "aws:ec2/eip:Eip" else {}
        return registration.id, {**_outputs(args.name, number), **address, **args.inputs}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        if args.token == stack_state.READ_STATE:
            return {"outputs": self.state}, []
        self.lookups.append(args)
        return _lookup_results(args)[args.token], []

    def of_type(self, type_end: str) -> list[Registration]:
        """The resources whose type ends with ``type_end``, such as ``:Instance``."""
        return [resource for resource in self.registrations if resource.type.endswith(type_end)]

    def one(self, type_end: str, name: str | None = None) -> Registration:
        """The only resource of the type, or the only one with this name."""
        resources = [resource for resource in self.of_type(type_end) if name in (None, resource.name)]
        names = [resource.name for resource in resources]
        assert len(resources) == 1, f"there must be one {type_end}, but there are {len(resources)}: {names}"
        return resources[0]

    def custom(self, name: str) -> Registration:
        """The only resource with this name that isn't a component."""
        resources = [resource for resource in self.registrations if resource.custom and resource.name == name]
        types = [resource.type for resource in resources]
        assert len(resources) == 1, f"there must be one resource {name}, but there are {len(resources)}: {types}"
        return resources[0]

    def custom_names(self) -> list[str]:
        """The names of all resources that aren't components, in the order of their registration."""
        return [resource.name for resource in self.registrations if resource.custom]

    def counts(self) -> dict[str, int]:
        """How many resources of each type the clouds' providers have."""
        types = [
            resource.type for resource in self.registrations if resource.type.startswith(("aws:", "digitalocean:"))
        ]
        return {type_: types.count(type_) for type_ in sorted(set(types))}


class RecordingMonitor(MockMonitor):
    """Hands each request to the recorder: Pulumi's mocks don't show dependencies and options."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._recorder = recorder

    def RegisterResource(self, request: Any) -> Any:
        self._recorder.requests[request.type, request.name] = request
        return super().RegisterResource(request)


def run_program(
    program: Callable[[], pulumi.Output[Any]], *, stack: str = "prod", state: dict[str, dict[str, Any]] | None = None
) -> Recorder:
    """Run ``program`` until the output that it returns is known, and all its resources are registered."""
    recorder = Recorder(state=state or {})
    monitor = RecordingMonitor(recorder)
    pulumi.runtime.set_mocks(recorder, project="gantry", stack=stack, preview=False, monitor=monitor)

    def keep(output: Any) -> None:
        recorder.output = output

    @pulumi.runtime.test
    def run() -> pulumi.Output[Any]:
        return program().apply(keep)

    run()
    return recorder


def build_stack(folder: Path, *, stack: str = "prod", **changes: Any) -> Recorder:
    """Build a stack with these settings. ``output`` has its url, release and servers."""
    return build_fleet(folder, make_settings(**changes), stack=stack)


def build_fleet(
    folder: Path, settings: Settings, *, stack: str = "prod", state: dict[str, dict[str, Any]] | None = None
) -> Recorder:
    """Build a stack with exactly these settings. ``state`` has the resources that it has already."""
    tarball = folder / "app.tar"
    tarball.write_text("app")

    def program() -> pulumi.Output[Any]:
        stack_fleet = fleet.build(stack, settings, Release(name="3f2a91c0ffee", tarball=tarball), generated=folder)
        return pulumi.Output.all(url=stack_fleet.url, release=stack_fleet.release, servers=stack_fleet.servers)

    return run_program(program, stack=stack, state=state)


def stdout_of(name: str) -> str:
    """The output of a remote command. READY prints the server's own host key. Every other command prints its name."""
    return f"ssh-ed25519 OWN-{name}\n" if name.endswith("-ready") else f"{name} has run\n"


def short_urn(urn: str) -> str:
    """The end of a URN, as type::name. Some parents are missing in the mocks' URNs."""
    return "::".join(urn.split("::")[-2:]).rpartition("$")[2]


def is_secret(value: Any) -> bool:
    return isinstance(value, dict) and rpc._special_sig_key in value


def _outputs(name: str, number: int) -> dict[str, Any]:
    """Outputs that a resource of any type may have; ``number`` counts the resources."""
    return {
        # SSH key pairs and remote commands.
        "private_key": "key",
        "public_key": f"ssh-ed25519 {name}",
        "stdout": stdout_of(name),
        # Machines and networks of the local target.
        "address": f"10.0.0.{number}",
        "range": "10.0.0.0/24",
        # AWS.
        "publicIp": f"198.51.100.{number}",
        "privateIp": f"10.77.0.{number}",
        "arn": f"arn:{name}",
        "dnsName": "lb.example.net",
        "zoneId": "Z1",
        "fqdn": "proof",
        "bucket": name,
        "keyName": name,
        "domainValidationOptions": [
            {
                "domainName": domain,
                "resourceRecordName": f"_p.{domain}",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": f"v.{domain}",
            }
            for domain in ("www.shop.example.org", "shop.example.org")
        ],
        # DigitalOcean.
        "name": f"{name}-0a1b2c3",
        "ip": "198.51.100.99",
        "ipAddress": "198.51.100.98",
        "fingerprint": "aa:bb",
        "ipv4Address": f"198.51.100.{number}",
        "ipv4AddressPrivate": f"10.77.0.{number}",
        "ipRange": "10.110.0.0/20",
        "reservedIpUrn": "do:reservedip:1",
        "loadBalancerUrn": "do:loadbalancer:1",
    }


def _lookup_results(lookup: MockCallArgs) -> dict[str, dict[str, Any]]:
    """The results of the functions that look something up, by their tokens."""
    id = str(lookup.args.get("id"))
    return {
        "aws:ec2/getAmi:getAmi": {"id": "ami-1"},
        "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["eu-1b", "eu-1c", "eu-1a"]},
        "aws:ec2/getInstance:getInstance": INSTANCE,
        "aws:ec2/getSubnets:getSubnets": {"ids": ["subnet-a2", "subnet-b1", "subnet-a1"]},
        "aws:ec2/getSubnet:getSubnet": {"availabilityZone": f"eu-1{id[7:8]}", "cidrBlock": SUBNET_RANGES.get(id, "")},
        "aws:route53/getZone:getZone": {"zoneId": "Z0EXAMPLE"},
        "digitalocean:index/getVpc:getVpc": {"id": id, "ipRange": "10.9.0.0/16"},
    }
