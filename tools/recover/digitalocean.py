"""How DigitalOcean is asked for what it has made unheard: which way for which type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from components import naming, rules
from components.digitalocean.api import URL, Api, ApiError
from tools.recover.state import Document, Pending
from tools.setup.report import SetupError

AUTONAMED = re.compile(f"[0-9a-f]{{{names.AUTONAME - 1}}}")
_PREFIX = "digitalocean:index/"
# Where the project is gone, or the address of the assignment, the provider fails to read them: nobody but the API can
# be asked whether they are there.
PROJECT = f"{_PREFIX}project:Project"
ASSIGNMENT = f"{_PREFIX}reservedIpAssignment:ReservedIpAssignment"
# The lists of the API, https://docs.digitalocean.com/reference/api/, in which a name is found. With the seven digits
# that Pulumi adds it is only one thing's, the new one's of a replacement too.
LISTED = {
    f"{_PREFIX}droplet:Droplet": "droplets",
    f"{_PREFIX}firewall:Firewall": "firewalls",
    f"{_PREFIX}loadBalancer:LoadBalancer": "load_balancers",
    PROJECT: "projects",
    f"{_PREFIX}sshKey:SshKey": "account/keys",
    f"{_PREFIX}vpc:Vpc": "vpcs",
}
# Their id follows from their inputs. Whether they are there, the refresh finds out.
NAMED: dict[str, Callable[[Document], str]] = {
    f"{_PREFIX}certificate:Certificate": lambda inputs: inputs["name"],
    ASSIGNMENT: lambda inputs: f"{int(inputs['dropletId'])}-{inputs['ipAddress']}",
    f"{_PREFIX}tag:Tag": lambda inputs: inputs["name"],
}
# Made again it is what it was.
REPEATABLE = {f"{_PREFIX}projectResources:ProjectResources"}
# In the list of its zone.
RECORD = f"{_PREFIX}dnsRecord:DnsRecord"
# With neither name nor tag: whose it is, only the operator knows.
NAMELESS = f"{_PREFIX}reservedIp:ReservedIp"
# What the API calls its lists, where that isn't the end of their path.
_KEYS = {"account/keys": "ssh_keys", "records": "domain_records"}


@dataclass
class DigitalOcean:
    """The account, each list of which is asked for once."""

    token: str
    url: str = URL
    _lists: dict[str, list[Document]] = field(default_factory=dict[str, list[Document]])

    def candidates(self, each: Pending) -> set[str]:
        given = each.inputs
        if name := NAMED.get(each.type):
            return {name(given)}
        if each.type in LISTED:
            return {str(one["id"]) for one in self._list(LISTED[each.type]) if one["name"] == given["name"]}
        if each.type == RECORD:
            wanted = (given["type"], given.get("name", "@"), given["value"])
            there = self._list(f"domains/{quote(given['domain'])}/records")
            return {str(one["id"]) for one in there if (one["type"], one["name"], one["data"]) == wanted}
        return set()

    def strays(self, known: set[str], stack: str) -> list[str]:
        """What is named as this stack's things of that kind are, and isn't in the state."""
        found: list[str] = []
        for path in LISTED.values():
            ours = _labels(path, stack)
            for one in self._list(path):
                label, _, digits = one["name"].rpartition("-")
                if label in ours and AUTONAMED.fullmatch(digits) and str(one["id"]) not in known:
                    found.append(f"{path} {one['id']} {one['name']}")
        return sorted(found)

    def unassigned(self, region: str, known: set[str]) -> list[str]:
        """The reserved IPs there that lead to no droplet and aren't in the state."""
        there = [each for each in self._list("reserved_ips") if each["region"]["slug"] == region]
        return sorted(each["ip"] for each in there if each.get("droplet") is None and each["ip"] not in known)

    def lost(self, known: Iterable[Document]) -> list[Document]:
        """What of the state is gone, and would make its refresh fail."""
        return [each for each in known if self._lost(each["type"], each)]

    def _lost(self, type_: str, each: Document) -> bool:
        if type_ == PROJECT:
            return each["id"] not in {one["id"] for one in self._list(LISTED[PROJECT])}
        return type_ == ASSIGNMENT and each["inputs"]["ipAddress"] not in {
            one["ip"] for one in self._list("reserved_ips")
        }

    def _list(self, path: str) -> list[Document]:
        if path not in self._lists:
            key = _KEYS.get(path) or _KEYS.get(path.rpartition("/")[2]) or path
            try:
                self._lists[path] = Api(self.token, self.url).listed(path, key)
            except ApiError as error:
                raise SetupError(str(error)) from None
        return self._lists[path]


def _labels(path: str, stack: str) -> set[str]:
    """What the names of a kind begin with, as components/digitalocean gives them."""
    if path == "droplets":
        return {naming.label(f"{stack}-{number}") for number in range(rules.MAX_SERVERS)}
    if path == "load_balancers":
        return {naming.label(f"{stack}-balancer")}
    fronts = {f"{naming.label(f'{stack}-{front}')}-web" for front in ("address", "balancer")}
    return {naming.label(stack)} | (fronts if path == "firewalls" else set())
