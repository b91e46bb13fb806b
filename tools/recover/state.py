"""A stack's exported state: what was under way, and how what is found of it comes in. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
# The providers note here which inputs they have chosen themselves: names.
CHOSEN = "__defaults"
# https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/go/common/resource/sig/sig.go
SECRET = "4dabf18193072939515e22adb298388d"
# Where they note the version of the schema that a state is written in. One without it is taken for one of version 0
# and migrated, which fails on what they don't find in it. Those of the provider's types that have had others:
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
    """A create whose reply was never heard."""

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


def pending(deployment: Mapping[str, Any]) -> list[Pending]:
    """The creates under way, those of the last `up` first."""
    operations = deployment.get("pending_operations") or ()
    return [Pending(each["resource"]) for each in operations if each["type"] == "creating"]


def resources(deployment: Mapping[str, Any]) -> list[Document]:
    return deployment.get("resources") or []


def ids(deployment: Mapping[str, Any]) -> set[str]:
    """Of all that the state knows, what is to be deleted too."""
    return {each["id"] for each in resources(deployment) if "id" in each}


def chosen(waiting: Sequence[Pending], candidates: Mapping[int, set[str]], known: set[str]) -> dict[int, str]:
    """Which id is whose, by the place in ``waiting``. Of more things than creates nobody can tell which is which."""
    found: dict[int, str] = {}
    taken = set(known)
    for place, each in enumerate(waiting):
        free = sorted(candidates.get(place, set()) - taken)
        alike = [other for other in range(place, len(waiting)) if waiting[other].urn == each.urn]
        if free and len(free) <= len(alike):
            found[place] = free[0]
            taken.add(free[0])
    return found


def adopted(deployment: Mapping[str, Any], found: Iterable[tuple[Pending, str]]) -> Document:
    """The state with these in it, as the engine would have written it had it heard of them."""
    listed = list(resources(deployment))
    for each, id in found:
        new = made(each, id)
        place = next((n for n, old in enumerate(listed) if old["urn"] == each.urn and not old.get("delete")), None)
        if place is not None:
            old = listed[place]
            if old.get("pendingReplacement"):
                # Deleted already, to make room for this one.
                del listed[place]
            elif _wish(old["inputs"]) == _wish(each.inputs):
                # What an `up` has made again since, without asking for this one: it is too many.
                new["delete"] = True
            else:
                listed[place] = {**old, "delete": True}
        listed.insert(_after_all_it_needs(new, listed), new)
    return {**deployment, "resources": listed, "pending_operations": []}


def without(deployment: Mapping[str, Any], lost: Sequence[Document]) -> Document:
    """The state without these, and without a word of them in what stays."""
    kept = [each for each in resources(deployment) if each not in lost]
    gone = {each["urn"] for each in lost} - {each["urn"] for each in kept}
    return {**deployment, "resources": [_forgetting(each, gone) for each in kept]}


def _forgetting(each: Document, gone: set[str]) -> Document:
    new = dict(each)
    for key in ("dependencies", "replaceWith"):
        if key in each:
            new[key] = [urn for urn in each[key] if urn not in gone]
    if of := each.get("propertyDependencies"):
        new["propertyDependencies"] = {key: [one for one in urns or () if one not in gone] for key, urns in of.items()}
    return new


def made(each: Pending, id: str) -> Document:
    """With its inputs for outputs: a provider takes a resource without any for one that isn't Pulumi's, forgets which
    name it chose itself, and what the cloud doesn't tell again (a droplet's user-data); both would replace it."""
    told = {key: value for key, value in each.inputs.items() if key != CHOSEN}
    if version := SCHEMA_VERSIONS.get(each.type):
        told[META] = json.dumps({"schema_version": str(version)}, separators=(",", ":"))
    return {**each.resource, "id": id, "outputs": {**told, "id": id}}


def _wish(inputs: Mapping[str, Any]) -> Document:
    """The inputs that the program gave, but secrets: encrypted anew each time, they can't be compared."""
    given = {key: value for key, value in inputs.items() if key != CHOSEN and key not in inputs.get(CHOSEN, ())}
    return {key: value for key, value in given.items() if not (isinstance(value, dict) and SECRET in value)}


def fits(deployment: Mapping[str, Any], each: Pending) -> bool:
    """Whether all that it refers to is still there; a `destroy` since then, or other settings, took it away."""
    return _needed(each.resource) <= {one["urn"] for one in resources(deployment)}


def _after_all_it_needs(new: Document, listed: Sequence[Document]) -> int:
    """The engine refuses a state in which a resource comes before what it refers to."""
    needed = _needed(new)
    return 1 + max((n for n, each in enumerate(listed) if each["urn"] in needed), default=-1)


def _needed(new: Document) -> set[str]:
    """The URNs that it refers to."""
    urns = {new.get("parent"), new.get("deletedWith"), *new.get("dependencies", ()), *new.get("replaceWith", ())}
    urns |= {urn for urns in new.get("propertyDependencies", {}).values() for urn in urns or ()}
    # <urn>::<id>
    urns.add(new.get("provider", "").rpartition("::")[0])
    return {urn for urn in urns if urn}
