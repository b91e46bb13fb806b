"""Finds resources that DigitalOcean created but Pulumi didn't record, in one way for each type."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from components import naming
from components.digitalocean.api import URL, Api, ApiError
from components.settings.common import MAX_SERVERS
from tools.recover.state import Document, Pending
from tools.setup.report import SetupError, elapsed, say

AUTONAME_DIGITS = re.compile(f"[0-9a-f]{{{naming.AUTONAME_LENGTH - 1}}}")
_PREFIX = "digitalocean:index/"
# The provider fails to read an assignment whose address is deleted. It crashes when it deletes one whose address has
# no droplet. So this program asks the API whether the assignment exists.
ASSIGNMENT = f"{_PREFIX}reservedIpAssignment:ReservedIpAssignment"
# Found by name in a list of the API, https://docs.digitalocean.com/reference/api/. The seven digits that Pulumi adds
# make a name unique, also between a resource and its replacement.
LISTED = {
    f"{_PREFIX}droplet:Droplet": "droplets",
    f"{_PREFIX}firewall:Firewall": "firewalls",
    f"{_PREFIX}loadBalancer:LoadBalancer": "load_balancers",
    f"{_PREFIX}project:Project": "projects",
    f"{_PREFIX}sshKey:SshKey": "account/keys",
    f"{_PREFIX}volume:Volume": "volumes",
    f"{_PREFIX}vpc:Vpc": "vpcs",
}
# Their id follows from their inputs. The refresh finds out whether they exist.
NAMED: dict[str, Callable[[Document], str]] = {
    f"{_PREFIX}certificate:Certificate": lambda inputs: inputs["name"],
    ASSIGNMENT: lambda inputs: f"{int(inputs['dropletId'])}-{inputs['ipAddress']}",
    f"{_PREFIX}tag:Tag": lambda inputs: inputs["name"],
}
# Not looked for: creating them a second time changes nothing.
REPEATABLE = {
    f"{_PREFIX}projectResources:ProjectResources",
    f"{_PREFIX}volumeAttachment:VolumeAttachment",
}
# Found in its zone.
RECORD = f"{_PREFIX}dnsRecord:DnsRecord"
# Has neither a name nor a tag, so only the operator knows whose it is.
NAMELESS = f"{_PREFIX}reservedIp:ReservedIp"
# These have no address until they are active. The provider waits for that when it creates one, but not in a refresh.
ACTIVATED = {f"{_PREFIX}{type_}" for type_ in ("droplet:Droplet", "loadBalancer:LoadBalancer")}
ACTIVATION_SECONDS, PAUSE_SECONDS, PROGRESS_SECONDS = 900, 5, 30
# The keys of the API's lists that differ from the end of their path.
_KEYS = {"account/keys": "ssh_keys", "records": "domain_records"}


@dataclass
class DigitalOcean:
    """An account. It requests each list once."""

    token: str
    url: str = URL
    _lists: dict[str, list[Document]] = field(default_factory=dict[str, list[Document]])

    def candidates(self, create: Pending) -> set[str]:
        """The ids of all resources that this create may have made."""
        inputs = create.inputs
        if id_of := NAMED.get(create.type):
            return {id_of(inputs)}
        if create.type in LISTED:
            listed = self._list(LISTED[create.type])
            return {str(resource["id"]) for resource in listed if resource["name"] == inputs["name"]}
        if create.type == RECORD:
            key = (inputs["type"], inputs.get("name", "@"), inputs["value"])
            records = self._list(f"domains/{quote(inputs['domain'])}/records")
            return {str(record["id"]) for record in records if (record["type"], record["name"], record["data"]) == key}
        return set()

    def wait_until_active(self, create: Pending, id: str) -> None:
        """Waits, with progress, until the resource that ``create`` made has its address. Raises SetupError."""
        if create.type not in ACTIVATED:
            return
        start = shown = time.monotonic()
        while (status := self._status(LISTED[create.type], id)) == "new":
            now = time.monotonic()
            if now - start > ACTIVATION_SECONDS:
                raise SetupError(
                    f"{create}, {id}, has no address after {elapsed(now - start)}, because DigitalOcean hasn't"
                    " activated it. Nothing was added to the state. Look at it in the control panel, and run `make"
                    " recover` again when it is active or deleted"
                )
            if now - shown >= PROGRESS_SECONDS or shown == start:
                say(f"{create}, {id}, isn't active yet, so it has no address: waiting for {elapsed(now - start)}")
                shown = now
            time.sleep(PAUSE_SECONDS)
        if status == "errored":
            raise SetupError(
                f"{create}, {id}, has failed in DigitalOcean. Nothing was added to the state. Delete it in the control"
                " panel, and run `make recover` again"
            )

    def _status(self, path: str, id: str) -> str:
        """The status of a droplet or balancer now; empty if it is deleted."""
        self._lists.pop(path, None)
        return next((resource["status"] for resource in self._list(path) if str(resource["id"]) == id), "")

    def untracked(self, known_ids: set[str], stack: str) -> list[str]:
        """List, id and name of each resource that has a name of this stack but isn't in its state."""
        untracked: list[str] = []
        for path in LISTED.values():
            labels = _labels(path, stack)
            for resource in self._list(path):
                label, _, digits = resource["name"].rpartition("-")
                if label in labels and AUTONAME_DIGITS.fullmatch(digits) and str(resource["id"]) not in known_ids:
                    untracked.append(f"{path} {resource['id']} {resource['name']}")
        return sorted(untracked)

    def unassigned(self, region: str, known_ids: set[str]) -> list[str]:
        """The region's reserved IPs that have no droplet and aren't in the state."""
        in_region = [address for address in self._list("reserved_ips") if address["region"]["slug"] == region]
        free = [address["ip"] for address in in_region if address.get("droplet") is None]
        return sorted(ip for ip in free if ip not in known_ids)

    def missing(self, resources: Iterable[Document]) -> list[Document]:
        """The resources of the state that are gone and would make a refresh or their deletion fail."""
        return [resource for resource in resources if self._is_missing(resource)]

    def _is_missing(self, resource: Document) -> bool:
        return resource["type"] == ASSIGNMENT and resource["inputs"]["ipAddress"] not in {
            address["ip"] for address in self._list("reserved_ips") if address.get("droplet")
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
    """The names in this list, without the digits, that components/digitalocean gives to a stack's resources."""
    if path == "droplets":
        return {naming.label(f"{stack}-{number}") for number in range(MAX_SERVERS)}
    if path == "load_balancers":
        return {naming.label(f"{stack}-balancer")}
    if path == "volumes":
        return {naming.droplet_volume(f"{stack}-volume")}
    web_firewalls = {f"{naming.label(f'{stack}-{entrypoint}')}-web" for entrypoint in ("address", "balancer")}
    return {naming.label(stack)} | (web_firewalls if path == "firewalls" else set())
