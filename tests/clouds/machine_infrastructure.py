"""The infrastructure of a simulated cloud with real machines on this computer, its firewalls and its balancers."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.local import bridge, image, machine, store
from components.local.computer import run
from tests.clouds import block_devices, haproxy, metadata_service, nftables
from tests.clouds.block_devices import BlockDevices
from tests.clouds.faults import Faults
from tests.clouds.haproxy import BalancerProcess
from tests.clouds.infrastructure import OPERATOR, PUBLIC_NETWORK, STRANGER, Balancer, ServerSpec, Topology
from tests.clouds.metadata_service import MetadataService

# A bridge without ports: the kernel of a small computer may have no interfaces of the kind `dummy`.
EDGE = "gantry-edge"
# A computer has room for one simulated cloud with machines. The process that holds this folder's lock owns it.
FOLDER = Path("/run/gantry-clouds")
OWNER = "simulated cloud"
_DMI = "usr/lib/python3/dist-packages/cloudinit/dmi.py"
_BIOS_REPLACEMENT = """

# A container has no BIOS that could tell cloud-init on which cloud it is.
_VALUES = {values}


def read_dmi_data(key: str) -> Optional[str]:
    return _VALUES.get(key)
"""


def remove_leftovers() -> None:
    """Remove everything that a simulated cloud left on this computer, also one that was killed.

    The caller holds the lock of ``FOLDER``.
    """
    haproxy.kill_processes(FOLDER)
    block_devices.free_loop_devices(FOLDER)
    for id in machine.ids():
        spec = machine.find(id)
        if spec and spec.owner == OWNER:
            machine.destroy(id)
    for network in bridge.networks():
        if network.owner == OWNER:
            machine.destroy_network(network.id)
    run(["nft", "-f", "-"], stdin=nftables.removal_script())
    if Path("/sys/class/net", EDGE).exists():
        run(["ip", "link", "delete", EDGE])


@dataclass
class MachineInfrastructure:
    """Machines of one cloud. ``data_source`` is cloud-init's name of it. ``stop`` removes everything."""

    data_source: str
    faults: Faults = field(default_factory=Faults)
    # The edge, the nftables table, and the ids of all machines and networks that ever were.
    names: set[str] = field(default_factory=lambda: {EDGE, nftables.TABLE})
    topology: Topology = field(default_factory=Topology)
    _bridges: dict[str, bridge.Network] = field(default_factory=dict[str, bridge.Network])
    _metadata_services: dict[str, MetadataService] = field(default_factory=dict[str, MetadataService])
    # With the time of the boot.
    _servers: dict[str, tuple[ServerSpec, float]] = field(default_factory=dict[str, tuple[ServerSpec, float]])
    _balancer_processes: dict[str, BalancerProcess] = field(default_factory=dict[str, BalancerProcess])
    # The balancers whose addresses this computer has.
    _balancers: dict[str, Balancer] = field(default_factory=dict[str, Balancer])
    volumes: BlockDevices = field(default_factory=lambda: BlockDevices(FOLDER / "volumes"))
    _unseen_volumes: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _cleanup: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Create the edge: a bridge that has the operator, the stranger and the public addresses.

        Waits until no other simulated cloud uses this computer.
        """
        with ExitStack() as cleanup:
            cleanup.enter_context(store.lock(FOLDER))
            cleanup.callback(shutil.rmtree, FOLDER)
            remove_leftovers()
            cleanup.callback(remove_leftovers)
            run(["ip", "link", "add", EDGE, "type", "bridge"])
            for address in (OPERATOR, STRANGER):
                run(["ip", "address", "add", f"{address}/32", "dev", EDGE])
            run(["ip", "link", "set", EDGE, "up"])
            run(["ip", "route", "add", str(PUBLIC_NETWORK), "dev", EDGE, "src", OPERATOR])
            self._cleanup = cleanup.pop_all()

    def stop(self) -> None:
        self.apply(Topology())
        for id in list(self._servers):
            self.destroy(id)
        self.volumes.stop()
        for id in list(self._bridges):
            self.remove_network(id)
        self._cleanup.close()

    @property
    def networks(self) -> list[bridge.Network]:
        """The networks of the cloud's servers on this computer."""
        return list(self._bridges.values())

    # The protocol Infrastructure.

    def create_network(self, id: str, cidr: str) -> None:
        network = bridge.create(owner=OWNER, cidr=cidr)
        self._bridges[id] = network
        self.names.add(network.id)
        # Machines reach each other only through this computer, so every packet passes its firewall.
        settings = Path("/proc/sys/net/ipv4/conf") / network.id
        (settings / "proxy_arp_pvlan").write_text("1")
        (settings / "send_redirects").write_text("0")
        run(["ip", "address", "add", f"{metadata_service.ADDRESS}/32", "dev", network.id])
        self._metadata_services[id] = MetadataService(network.id, self._find_server)

    def remove_network(self, id: str) -> None:
        self._metadata_services.pop(id).stop()
        machine.destroy_network(self._bridges.pop(id).id)

    def boot(self, spec: ServerSpec) -> None:
        time.sleep(self.faults.boot_delay_seconds)
        self._servers[spec.id] = (spec, time.monotonic())
        self.names.add(spec.id)
        machine.create(
            id=spec.id,
            owner=OWNER,
            network=self._bridges[spec.network].id,
            hostname=re.sub(r"[^a-z0-9]+", "-", spec.hostname.lower()).strip("-")[:63],
            user_data=b"",
            address=spec.address,
            files=self._files(spec),
            progress=lambda _line: None,
        )
        self._isolate(spec.id)

    def restart(self, id: str) -> None:
        machine.stop(id)
        machine.boot(id)
        self.volumes.show_again(id)
        self._isolate(id)

    def destroy(self, id: str) -> None:
        machine.destroy(id)
        self._servers.pop(id, None)

    def create_volume(self, id: str, gigabytes: int) -> None:
        self.volumes.create(id, gigabytes)

    def resize_volume(self, id: str, gigabytes: int) -> None:
        self.volumes.resize(id, gigabytes)

    def delete_volume(self, id: str) -> None:
        self.volumes.delete(id)

    def attach_volume(self, id: str, server: str, link: str) -> None:
        if self.faults.volumes_do_not_appear:
            self._unseen_volumes.append((id, server, link))
        else:
            self.volumes.attach(id, server, link)

    def show_volumes(self) -> None:
        """Let the attached volumes appear that a fault has kept away."""
        while self._unseen_volumes:
            self.volumes.attach(*self._unseen_volumes.pop())

    def detach_volume(self, id: str) -> None:
        self.volumes.detach(id)

    def apply(self, topology: Topology) -> None:
        with self._lock:
            self.topology = topology
            for balancer in topology.balancers:
                self._add_addresses(balancer)
            blocked_sources = {
                target.id: balancer.node_addresses
                for balancer in topology.balancers
                for target in balancer.targets
                if target.zone in self.faults.unhealthy_zones
            }
            run(["nft", "-f", "-"], stdin=nftables.table_script(topology, blocked_sources))
            self._apply_balancers(topology.balancers)

    def target_health(self, balancer_id: str) -> dict[str, bool]:
        return self._balancer_processes[balancer_id].target_health()

    # Helpers.

    def _apply_balancers(self, balancers: Sequence[Balancer]) -> None:
        for balancer in balancers:
            if balancer.id in self._balancer_processes:
                self._balancer_processes[balancer.id].apply(balancer)
            elif balancer.listeners:
                folder = FOLDER / re.sub(r"\W", "_", balancer.id)
                self._balancer_processes[balancer.id] = BalancerProcess(balancer, folder)
        for id in set(self._balancers) - {balancer.id for balancer in balancers}:
            self._remove_balancer(id)

    def _remove_balancer(self, id: str) -> None:
        if id in self._balancer_processes:
            self._balancer_processes.pop(id).stop()
        balancer = self._balancers.pop(id)
        run(["ip", "address", "delete", f"{balancer.public_address}/32", "dev", EDGE])
        for node in balancer.node_addresses:
            run(["ip", "address", "delete", f"{node}/32", "dev", self._bridges[balancer.network].id])

    def _add_addresses(self, balancer: Balancer) -> None:
        """Give this computer the addresses that the balancer listens on, and those that its requests come from."""
        if balancer.id in self._balancers:
            return
        self._balancers[balancer.id] = balancer
        run(["ip", "address", "add", f"{balancer.public_address}/32", "dev", EDGE])
        for node in balancer.node_addresses:
            run(["ip", "address", "add", f"{node}/32", "dev", self._bridges[balancer.network].id])

    def _find_server(self, address: str) -> ServerSpec | None:
        for spec, boot_time in self._servers.values():
            if spec.address == address:
                return spec if time.monotonic() - boot_time >= self.faults.metadata_delay_seconds else None
        return None

    def _isolate(self, id: str) -> None:
        (Path("/sys/class/net") / machine.veth_of(id) / "brport/isolated").write_text("1")

    def _files(self, spec: ServerSpec) -> dict[str, str]:
        """Files on the machine's disk with which cloud-init reads this cloud's metadata service."""
        settings_of_sources: dict[str, dict[str, Any]] = {
            "Ec2": {"metadata_urls": [f"http://{metadata_service.ADDRESS}"], "max_wait": 60, "timeout": 5},
            # Without this, it would give itself a link-local address first. A machine here already has an address.
            "DigitalOcean": {"use_ip4LL": False},
        }
        bios_values = {
            "Ec2": {"system-uuid": f"ec2{spec.id[-5:]}", "system-serial-number": f"ec2{spec.id[-5:]}"},
            "DigitalOcean": {"system-manufacturer": "DigitalOcean", "system-serial-number": spec.id},
        }
        dmi_module = (image.root_of(image.ensure()) / _DMI).read_text()
        # A shell script of cloud-init reads the first line, too, so the list must be on that line.
        settings = f"datasource_list: [ {self.data_source} ]\n"
        settings += f"datasource:\n  {self.data_source}: {json.dumps(settings_of_sources[self.data_source])}\n"
        return {
            "etc/cloud/cloud.cfg.d/95-simulated-cloud.cfg": settings,
            _DMI: dmi_module + _BIOS_REPLACEMENT.format(values=repr(bios_values[self.data_source])),
            # An empty program. With the real one, cloud-init waits half a minute for a DHCP server before it uses the
            # address that the machine has.
            "usr/sbin/dhcpcd": "",
        }
