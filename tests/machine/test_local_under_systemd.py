"""The local target on a computer with systemd as init and with iptables that drop forwarded packets, as Docker does.

That computer is itself a local machine. The machine inside it has a copied disk, because overlays don't stack.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from components.local import machine, store
from tests.machine.local_machines import LocalMachines
from tests.stack import ROOT

pytestmark = pytest.mark.machine

# Runs on the outer machine. Prints what it has seen of the inner one as JSON.
PROGRAM = """
import json, subprocess, sys, time
from components.local import bridge, computer, image, launch, machine

def run(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout

def run_inside(spec, command):
    words = ["nsenter", "-t", str(launch.init_process(spec.folder)), "-m", "-u", "-i", "-n", "-p", "-C", *command]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()

traces = "nft list tables; iptables -S FORWARD; ls /var/lib /sys/class/net"
traces += "; systemctl list-units --all --plain 'gantry*'"
run("iptables -P FORWARD DROP; nft list tables")
before, report = run(traces), {}
network = bridge.create(owner="inner")
try:
    spec = machine.create(id="inner", owner="inner", network=network.id, hostname="inner", user_data=b"")
    report["disk"] = spec.disk
    report["unit"] = run("systemctl is-active gantry-inner.service").strip()
    is_running = ["systemctl", "is-system-running"]
    launch.wait_until(lambda: run_inside(spec, is_running) == "running", "the inner boot", 30)
    report["mirror"] = run_inside(spec, ["apt-get", "-q", "update"]).splitlines()[-1]
    machine.stop("inner")
    report["stopped"] = machine.status("inner")
    machine.boot("inner")
    report["booted"] = machine.status("inner")
finally:
    machine.destroy_network(network.id)
report["traces"] = [before, run(traces)]
print(json.dumps(report))
"""


def test_a_machine_is_a_systemd_unit_and_leaves_nothing_behind(machines: LocalMachines):
    packages = "packages: [systemd-container, nftables, debootstrap, iptables, debian-archive-keyring]\n"
    spec = machines.create(user_data=machines.user_data(packages))
    machines.ssh(spec, "cloud-init status --wait")
    for folder in ("components/local", "host"):
        machines.send(spec, packed(ROOT, folder), "sudo tar x -C /srv")
    images = "/var/cache/gantry/images"
    machines.send(spec, packed(store.IMAGES, spec.image), f"sudo mkdir -p {images} && sudo tar x -C {images}")
    program = PROGRAM.replace('user_data=b""', f'user_data=b"", image_digest="{spec.image}"')
    report = json.loads(machines.send(spec, program.encode(), "cd /srv && sudo python3 -"))
    before, after = report.pop("traces")
    assert report == {
        "disk": "copy",
        "unit": "active",
        "mirror": "Reading package lists...",
        "stopped": "stopped",
        "booted": "running",
    }
    assert after == before
    assert machine.status(spec.id) == "running"


def packed(folder: Path, name: str) -> bytes:
    """A tarball of one file or folder."""
    return subprocess.run(["tar", "c", "-C", folder, name], capture_output=True, check=True).stdout
