"""Reads and changes a stack's exported state: its creates under way and their resources. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
# Here the providers list the inputs that they chose themselves, such as names.
CHOSEN_BY_PROVIDER = "__defaults"
# https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/go/common/resource/sig/sig.go
SECRET = "4dabf18193072939515e22adb298388d"
# Here the providers keep the version of the schema that a resource's state has. Without it they assume version 0 and
# migrate the state, which fails because fields are missing. This lists the types with a version above 0, from
# SchemaVersion in the sources of terraform-provider-aws 6 and terraform-provider-digitalocean 2.
META = "__meta"
SCHEMA_VERSIONS = {
    "aws:ec2/instance:Instance": 2,
    "aws:ec2/keyPair:KeyPair": 1,
    "aws:ec2/securityGroup:SecurityGroup": 1,
    "aws:ec2/subnet:Subnet": 1,
    "aws:ec2/vpc:Vpc": 1,
    "aws:route53/record:Record": 2,
    "digitalocean:index/certificate:Certificate": 1,
    "digitalocean:index/droplet:Droplet": 1,
    "digitalocean:index/loadBalancer:LoadBalancer": 1,
}


@dataclass(frozen=True)
class Pending:
    """A create under way: the cloud may have carried it out, but the state doesn't have its result."""

    resource: Document

    @property
    def urn(self) -> str:
        return self.resource["urn"]

    @property
    def type(self) -> str:
        return self.resource["type"]

    @property
    def inputs(self) -> Document:
        return self.resource.get("inputs", {})

    def __str__(self) -> str:
        return f"{self.type} {self.urn.rpartition('::')[2]}"


def pending_creates(deployment: Mapping[str, Any]) -> list[Pending]:
    """The creates under way, those of the last `up` first."""
    operations = deployment.get("pending_operations") or ()
    return [Pending(operation["resource"]) for operation in operations if operation["type"] == "creating"]


def resources(deployment: Mapping[str, Any]) -> list[Document]:
    return deployment.get("resources") or []


def ids(deployment: Mapping[str, Any]) -> set[str]:
    """The ids of all resources in the state, including those that are marked for deletion."""
    return {resource["id"] for resource in resources(deployment) if "id" in resource}


def assign_ids(creates: Sequence[Pending], candidates: Mapping[int, set[str]], known_ids: set[str]) -> dict[int, str]:
    """The id for each create, by its index in ``creates``.

    A create gets none if there are more free candidates than creates of its URN: nobody can tell which one is right.
    """
    assigned: dict[int, str] = {}
    used_ids = set(known_ids)
    for index, create in enumerate(creates):
        free = sorted(candidates.get(index, set()) - used_ids)
        same_urn = [other for other in creates[index:] if other.urn == create.urn]
        if free and len(free) <= len(same_urn):
            assigned[index] = free[0]
            used_ids.add(free[0])
    return assigned


def adopt(deployment: Mapping[str, Any], created: Iterable[tuple[Pending, str]]) -> Document:
    """The state with these resources, as the engine would have written it after successful creates."""
    listed = list(resources(deployment))
    for create, id in created:
        new = new_resource(create, id)
        index = next(
            (n for n, resource in enumerate(listed) if resource["urn"] == create.urn and not resource.get("delete")),
            None,
        )
        if index is not None:
            old = listed[index]
            if old.get("pendingReplacement"):
                # The engine has deleted the old resource already, to make room for this one.
                del listed[index]
            elif _program_inputs(old["inputs"]) == _program_inputs(create.inputs):
                # A later `up` has created the resource again, so this one is surplus.
                new["delete"] = True
            else:
                listed[index] = {**old, "delete": True}
        listed.insert(_index_after_references(new, listed), new)
    return {**deployment, "resources": listed, "pending_operations": []}


def without(deployment: Mapping[str, Any], missing: Sequence[Document]) -> Document:
    """The state without these resources, and without references to them."""
    remaining = [resource for resource in resources(deployment) if resource not in missing]
    removed_urns = {resource["urn"] for resource in missing} - {resource["urn"] for resource in remaining}
    return {**deployment, "resources": [_without_references(resource, removed_urns) for resource in remaining]}


def _without_references(resource: Document, removed_urns: set[str]) -> Document:
    new = dict(resource)
    for key in ("dependencies", "replaceWith"):
        if key in resource:
            new[key] = [urn for urn in resource[key] if urn not in removed_urns]
    if by_property := resource.get("propertyDependencies"):
        new["propertyDependencies"] = {
            key: [urn for urn in urns or () if urn not in removed_urns] for key, urns in by_property.items()
        }
    return new


def new_resource(create: Pending, id: str) -> Document:
    """The resource with its id, and with its inputs as outputs.

    A provider that reads a resource without outputs takes it for one that Pulumi didn't create. It then forgets which
    name it chose itself, and what the cloud doesn't return (a droplet's user-data). Either would replace the resource.
    """
    outputs = {key: value for key, value in create.inputs.items() if key != CHOSEN_BY_PROVIDER}
    if version := SCHEMA_VERSIONS.get(create.type):
        outputs[META] = json.dumps({"schema_version": str(version)}, separators=(",", ":"))
    return {**create.resource, "id": id, "outputs": {**outputs, "id": id}}


def _program_inputs(inputs: Mapping[str, Any]) -> Document:
    """The inputs from the program, without secrets: each export encrypts them anew, so they can't be compared."""
    provider_inputs = (CHOSEN_BY_PROVIDER, *inputs.get(CHOSEN_BY_PROVIDER, ()))
    program_inputs = {key: value for key, value in inputs.items() if key not in provider_inputs}
    return {key: value for key, value in program_inputs.items() if not (isinstance(value, dict) and SECRET in value)}


def has_references_of(deployment: Mapping[str, Any], create: Pending) -> bool:
    """Whether the state has all resources that this one refers to.

    A `destroy` after the kill, or other settings, may have removed them.
    """
    return _references(create.resource) <= {resource["urn"] for resource in resources(deployment)}


def _index_after_references(new: Document, listed: Sequence[Document]) -> int:
    """The engine rejects a state in which a resource comes before one that it refers to."""
    references = _references(new)
    return 1 + max((n for n, resource in enumerate(listed) if resource["urn"] in references), default=-1)


def _references(resource: Document) -> set[str]:
    """The URNs of all resources that this one refers to."""
    urns = {
        resource.get("parent"),
        resource.get("deletedWith"),
        *resource.get("dependencies", ()),
        *resource.get("replaceWith", ()),
    }
    urns |= {urn for urns in resource.get("propertyDependencies", {}).values() for urn in urns or ()}
    # A provider reference has the form <urn>::<id>.
    urns.add(resource.get("provider", "").rpartition("::")[0])
    return {urn for urn in urns if urn}
