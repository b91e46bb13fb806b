"""Machines of the local target are isolated: from other networks, from this computer's firewall and from its users."""

from __future__ import annotations

import subprocess

import pytest

from components.local import computer, disk, image, machine
from components.local.computer import LocalError
from tests.machine.local_machines import LocalMachines

pytestmark = pytest.mark.machine


def test_a_machine_can_have_a_firewall_and_network_settings_of_its_own(machines: LocalMachines):
    spec = machines.create(user_data=machines.user_data("packages: [nftables]\n"))
    machines.ssh(spec, "cloud-init status --wait")
    machines.ssh(spec, "sudo nft add table inet own && sudo nft list table inet own")
    machines.ssh(spec, "echo 1234 | sudo tee /proc/sys/net/core/somaxconn")
    assert "inet own" not in subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout


def test_two_networks_exist_side_by_side_and_cannot_reach_each_other(machines: LocalMachines):
    one, other = machines.create_network(), machines.create_network()
    assert one.cidr != other.cidr
    spec, other_spec = machines.create(one.id), machines.create(other.id)
    neighbour = machines.create(one.id)
    machines.ssh(other_spec, "true")
    machines.ssh(neighbour, "true")
    connect = "timeout 2 bash -c '</dev/tcp/{}/22' && echo open || echo closed"
    assert machines.ssh(spec, connect.format(neighbour.address)) == "open"
    assert machines.ssh(spec, connect.format(other_spec.address)) == "closed"
    machine.destroy_network(one.id)
    assert machines.resolves_mirror(other_spec)


def test_an_address_range_in_use_is_refused_and_nothing_is_created(machines: LocalMachines):
    network = machines.create_network()
    with pytest.raises(LocalError, match=f"overlaps {network.cidr}"):
        machines.create_network(network.cidr)


def test_machines_reach_the_mirror_although_this_computer_drops_forwarded_packets(machines: LocalMachines):
    table = f"strict{machines.owner[-6:]}"
    chain = "chain forward {\ntype filter hook forward priority 0; policy drop;\n}"
    computer.run(["nft", "-f", "-"], stdin=f"table inet {table} {{\n{chain}\n}}\n")
    try:
        network = machines.create_network()
        spec = machines.create(network.id)
        assert machines.resolves_mirror(spec)
        machines.destroy()
        assert network.id not in computer.run(["nft", "list", "table", "inet", table]).stdout
    finally:
        computer.run(["nft", "delete", "table", "inet", table])


def test_the_disk_is_a_copy_where_overlays_do_not_work(machines: LocalMachines, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "_can_overlay", lambda *_: False)
    spec = machines.create()
    assert spec.disk == "copy"
    assert machines.ssh(spec, "cloud-init status --wait; sudo touch /kept") == "status: done"
    assert not (image.root_of(spec.image) / "kept").exists(), "the machine wrote to the base image"
    machine.stop(spec.id)
    machine.boot(spec.id)
    assert machines.ssh(spec, "ls /kept") == "/kept"


def test_other_users_of_this_computer_cannot_read_a_machines_disk(machines: LocalMachines):
    spec = machines.create()
    for path in (spec.folder / "spec.json", spec.folder / "disk"):
        result = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "ls", path], capture_output=True)
        assert result.returncode != 0
