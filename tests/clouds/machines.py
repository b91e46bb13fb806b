"""A world of real machines on this computer: booted, addressed, guarded and balanced as the cloud says."""

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
from tests.clouds import metadata, packets, proxy
from tests.clouds.faults import Faults
from tests.clouds.proxy import Proxy
from tests.clouds.world import OPERATOR, PUBLIC, STRANGER, Balancer, Boot, View

# A bridge without ports: the kernel of a small computer may have no interfaces of the kind `dummy`.
EDGE = "gantry-edge"
# A computer has room for one world: who holds this folder has it, until the process ends in whatever way.
FOLDER = Path("/run/gantry-clouds")
OWNER = "simulated cloud"
_DMI = "usr/lib/python3/dist-packages/cloudinit/dmi.py"
_NO_BIOS = """

# A container has no BIOS that could tell cloud-init on which cloud it is.
_TOLD = {told}


def read_dmi_data(key: str) -> Optional[str]:
    return _TOLD.get(key)
"""


def clear() -> None:
    """Remove what is there of a world, also of one whose process was killed; the caller holds ``FOLDER``."""
    proxy.end_all(FOLDER)
    for id in machine.ids():
        spec = machine.find(id)
        if spec and spec.owner == OWNER:
            machine.destroy(id)
    for network in bridge.networks():
        if network.owner == OWNER:
            machine.destroy_network(network.id)
    run(["nft", "-f", "-"], stdin=packets.removal())
    if Path("/sys/class/net", EDGE).exists():
        run(["ip", "link", "delete", EDGE])


@dataclass
class Machines:
    """``source`` is cloud-init's name of the cloud. After ``stop`` nothing is left of it on this computer."""

    source: str
    faults: Faults = field(default_factory=Faults)
    # The names of what is here of this world, and the ids of all machines and networks that ever were.
    made: set[str] = field(default_factory=lambda: {EDGE, packets.TABLE})
    _bridges: dict[str, bridge.Network] = field(default_factory=dict[str, bridge.Network])
    _services: dict[str, metadata.Service] = field(default_factory=dict[str, metadata.Service])
    _boots: dict[str, tuple[Boot, float]] = field(default_factory=dict[str, tuple[Boot, float]])
    _proxies: dict[str, Proxy] = field(default_factory=dict[str, Proxy])
    _nodes: dict[str, Balancer] = field(default_factory=dict[str, Balancer])
    view: View = field(default_factory=View)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _held: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Make the edge, where operator, stranger and public addresses are; waits for another world to end."""
        with ExitStack() as held:
            held.enter_context(store.lock(FOLDER))
            held.callback(shutil.rmtree, FOLDER)
            clear()
            held.callback(clear)
            run(["ip", "link", "add", EDGE, "type", "bridge"])
            for address in (OPERATOR, STRANGER):
                run(["ip", "address", "add", f"{address}/32", "dev", EDGE])
            run(["ip", "link", "set", EDGE, "up"])
            run(["ip", "route", "add", str(PUBLIC), "dev", EDGE, "src", OPERATOR])
            self._held = held.pop_all()

    def stop(self) -> None:
        self.show(View())
        for id in list(self._boots):
            self.destroy(id)
        for id in list(self._bridges):
            self.remove_network(id)
        self._held.close()

    # What a cloud asks for.

    def network(self, id: str, cidr: str) -> None:
        made = bridge.create(owner=OWNER, cidr=cidr)
        self._bridges[id] = made
        self.made.add(made.id)
        # Machines don't see each other but through this computer, whose filter every packet meets.
        settings = Path("/proc/sys/net/ipv4/conf") / made.id
        (settings / "proxy_arp_pvlan").write_text("1")
        (settings / "send_redirects").write_text("0")
        run(["ip", "address", "add", f"{metadata.ADDRESS}/32", "dev", made.id])
        self._services[id] = metadata.Service(made.id, self._find)

    def remove_network(self, id: str) -> None:
        self._services.pop(id).stop()
        machine.destroy_network(self._bridges.pop(id).id)

    def boot(self, boot: Boot) -> None:
        time.sleep(self.faults.slow_boot)
        self._boots[boot.id] = (boot, time.monotonic())
        self.made.add(boot.id)
        machine.create(
            id=boot.id,
            owner=OWNER,
            network=self._bridges[boot.network].id,
            hostname=re.sub(r"[^a-z0-9]+", "-", boot.hostname.lower()).strip("-")[:63],
            user_data=b"",
            address=boot.address,
            files=self._disk(boot),
            progress=lambda _line: None,
        )
        self._isolate(boot.id)

    def restart(self, id: str) -> None:
        machine.stop(id)
        machine.boot(id)
        self._isolate(id)

    def destroy(self, id: str) -> None:
        machine.destroy(id)
        self._boots.pop(id, None)

    def show(self, view: View) -> None:
        with self._lock:
            self.view = view
            for balancer in view.balancers:
                self._place(balancer)
            cut_off = {
                target.id: balancer.nodes
                for balancer in view.balancers
                for target in balancer.targets
                if target.zone in self.faults.unhealthy_zones
            }
            run(["nft", "-f", "-"], stdin=packets.script(view, cut_off))
            self._balance(view.balancers)

    def health(self, balancer: str) -> dict[str, bool]:
        return self._proxies[balancer].health()

    # How it is done.

    def _balance(self, balancers: Sequence[Balancer]) -> None:
        for balancer in balancers:
            if balancer.id in self._proxies:
                self._proxies[balancer.id].show(balancer)
            elif balancer.listeners:
                self._proxies[balancer.id] = Proxy(balancer, FOLDER / re.sub(r"\W", "_", balancer.id))
        for id in set(self._nodes) - {balancer.id for balancer in balancers}:
            if id in self._proxies:
                self._proxies.pop(id).stop()
            gone = self._nodes.pop(id)
            run(["ip", "address", "delete", f"{gone.public}/32", "dev", EDGE])
            for node in gone.nodes:
                run(["ip", "address", "delete", f"{node}/32", "dev", self._bridges[gone.network].id])

    def _place(self, balancer: Balancer) -> None:
        """Give this computer the addresses that the balancer listens on and asks from."""
        if balancer.id in self._nodes:
            return
        self._nodes[balancer.id] = balancer
        run(["ip", "address", "add", f"{balancer.public}/32", "dev", EDGE])
        for node in balancer.nodes:
            run(["ip", "address", "add", f"{node}/32", "dev", self._bridges[balancer.network].id])

    def _find(self, address: str) -> Boot | None:
        for boot, since in self._boots.values():
            if boot.address == address:
                return boot if time.monotonic() - since >= self.faults.late_metadata else None
        return None

    def _isolate(self, id: str) -> None:
        (Path("/sys/class/net") / machine.veth_of(id) / "brport/isolated").write_text("1")

    def _disk(self, boot: Boot) -> dict[str, str]:
        sources: dict[str, dict[str, Any]] = {
            "Ec2": {"metadata_urls": [f"http://{metadata.ADDRESS}"], "max_wait": 60, "timeout": 5},
            # It would give itself an address on the link before it asks, and a machine here has one.
            "DigitalOcean": {"use_ip4LL": False},
        }
        told = {
            "Ec2": {"system-uuid": f"ec2{boot.id[-5:]}", "system-serial-number": f"ec2{boot.id[-5:]}"},
            "DigitalOcean": {"system-manufacturer": "DigitalOcean", "system-serial-number": boot.id},
        }
        original = (image.root_of(image.ensure()) / _DMI).read_text()
        # cloud-init also reads the first line with a shell script, line by line.
        settings = f"datasource_list: [ {self.source} ]\n"
        settings += f"datasource:\n  {self.source}: {json.dumps(sources[self.source])}\n"
        return {
            "etc/cloud/cloud.cfg.d/95-simulated-cloud.cfg": settings,
            _DMI: original + _NO_BIOS.format(told=repr(told[self.source])),
            # Not to be run: cloud-init would wait for half a minute for a server of DHCP, before it asks with the
            # address that the machine has.
            "usr/sbin/dhcpcd": "",
        }
