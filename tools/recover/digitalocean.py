"""How DigitalOcean is asked for what it has made unheard: which way for which type."""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from components import names, rules
from tools.recover.state import Document, Pending
from tools.setup.report import SetupError

API = "https://api.digitalocean.com"
PATIENCE_SECONDS = 30
# Before it is asked again, when it has too much to do.
PAUSES_SECONDS = (1, 5)
AUTONAMED = re.compile(f"[0-9a-f]{{{names.AUTONAME - 1}}}")
_PREFIX = "digitalocean:index/"
# The lists of the API, https://docs.digitalocean.com/reference/api/, in which a name is found. With the seven digits
# that Pulumi adds it is only one thing's, the new one's of a replacement too.
LISTED = {
    f"{_PREFIX}droplet:Droplet": "droplets",
    f"{_PREFIX}firewall:Firewall": "firewalls",
    f"{_PREFIX}loadBalancer:LoadBalancer": "load_balancers",
    f"{_PREFIX}project:Project": "projects",
    f"{_PREFIX}sshKey:SshKey": "account/keys",
    f"{_PREFIX}vpc:Vpc": "vpcs",
}
# Their id follows from their inputs. Whether they are there, the refresh finds out.
NAMED: dict[str, Callable[[Document], str]] = {
    f"{_PREFIX}certificate:Certificate": lambda inputs: inputs["name"],
    f"{_PREFIX}reservedIpAssignment:ReservedIpAssignment": (
        lambda inputs: f"{int(inputs['dropletId'])}-{inputs['ipAddress']}"
    ),
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
    url: str = API
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

    def _list(self, path: str) -> list[Document]:
        if path not in self._lists:
            key = _KEYS.get(path) or _KEYS.get(path.rpartition("/")[2]) or path
            self._lists[path] = [each for page in self._pages(path) for each in page[key]]
        return self._lists[path]

    def _pages(self, path: str) -> Iterator[Document]:
        number, more = 1, True
        while more:
            page = self._get(f"{self.url.rstrip('/')}/v2/{path}?per_page=200&page={number}")
            yield page
            more = bool(page.get("links", {}).get("pages", {}).get("next"))
            number += 1

    def _get(self, url: str) -> Document:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        pauses = list(PAUSES_SECONDS)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                said = f"DigitalOcean answers {error.code} to {url}: {error.read(300).decode()}"
                if not pauses or (error.code != 429 and error.code < 500):
                    raise SetupError(said) from None
                time.sleep(pauses.pop(0))
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise SetupError(f"DigitalOcean can't be asked ({url}): {error}") from None


def _labels(path: str, stack: str) -> set[str]:
    """What the names of a kind begin with, as components/digitalocean gives them."""
    if path == "droplets":
        return {names.label(f"{stack}-{number}") for number in range(rules.MOST_SERVERS)}
    if path == "load_balancers":
        return {names.label(f"{stack}-balancer")}
    fronts = {f"{names.label(f'{stack}-{front}')}-web" for front in ("address", "balancer")}
    return {names.label(stack)} | (fronts if path == "firewalls" else set())
