"""The local target on a computer whose init is systemd, with iptables that drop what is forwarded, as Docker sets them.

That computer is itself a machine of ours; the one inside has a copied disk, since overlays don't stack.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from components.local import machine, store
from tests.machine.conftest import Local

pytestmark = pytest.mark.machine

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, subprocess, sys, time
from components.local import bridge, host, image, launch, machine

def say(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout

def inside(spec, command):
    words = ["nsenter", "-t", str(launch.init_of(spec.folder)), "-m", "-u", "-i", "-n", "-p", "-C", *command]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()

left = "nft list tables; iptables -S FORWARD; ls /var/lib /sys/class/net; systemctl list-units --all --plain 'gantry*'"
say("iptables -P FORWARD DROP; nft list tables")
before, seen = say(left), {}
network = bridge.create(owner="inner")
try:
    spec = machine.create(id="inner", owner="inner", network=network.id, hostname="inner", user_data=b"")
    seen["disk"] = spec.disk
    seen["unit"] = say("systemctl is-active gantry-inner.service").strip()
    launch.wait_until(lambda: inside(spec, ["systemctl", "is-system-running"]) == "running", "the inner boot", 30)
    seen["mirror"] = inside(spec, ["apt-get", "-q", "update"]).splitlines()[-1]
    machine.stop("inner")
    seen["stopped"] = machine.status("inner")
    machine.boot("inner")
    seen["booted"] = machine.status("inner")
finally:
    machine.destroy_network(network.id)
seen["left"] = [before, say(left)]
print(json.dumps(seen))
"""


def test_a_machine_is_a_systemd_unit_and_leaves_nothing_behind(local: Local):
    packages = "packages: [systemd-container, nftables, debootstrap, iptables, debian-archive-keyring]\n"
    spec = local.machine(local.network().id, user_data=packages)
    local.ssh(spec, "cloud-init status --wait")
    library = subprocess.run(["tar", "c", "-C", ROOT, "components/local"], capture_output=True, check=True).stdout
    local.send(spec, library, "sudo tar x -C /srv")
    packed = subprocess.run(["tar", "c", "-C", store.IMAGES, spec.image], capture_output=True, check=True).stdout
    local.send(spec, packed, "sudo mkdir -p /var/cache/gantry/images && sudo tar x -C /var/cache/gantry/images")
    program = PROGRAM.replace('user_data=b""', f'user_data=b"", image_digest="{spec.image}"')
    seen = json.loads(local.send(spec, program.encode(), "cd /srv && sudo python3 -"))
    before, after = seen.pop("left")
    assert seen == {
        "disk": "copy",
        "unit": "active",
        "mirror": "Reading package lists...",
        "stopped": "stopped",
        "booted": "running",
    }
    assert after == before
    assert machine.status(spec.id) == "running"
