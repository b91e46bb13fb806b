from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from components.local import apt, bridge, firewall, host, image, launch, machine
from components.local.host import LocalError
from tests.machine.conftest import Local, traces

pytestmark = pytest.mark.machine

# A name that this computer can resolve, since it uses the mirror.
RESOLVE = f"getent hosts {urlsplit(apt.host_mirror().archive).hostname} > /dev/null && echo resolved"


def test_a_machine_boots_runs_cloud_init_and_reaches_the_package_mirror(local: Local):
    network = local.network()
    spec = local.machine(network.id, user_data="write_files: [{path: /etc/first-boot, content: made}]\n")
    assert machine.status(spec.id) == "running"
    assert local.ssh(spec, "cloud-init status --wait") == "status: done"
    assert local.ssh(spec, "systemctl is-system-running --wait") == "running"
    assert local.ssh(spec, "hostname; cat /etc/first-boot; echo; stat -c %a /") == "web-0\nmade\n755"
    assert spec.address in local.ssh(spec, "ip -4 address show eth0")
    assert local.ssh(spec, "sudo -n true; getent hosts web-0").startswith("127.0.1.1")
    local.ssh(spec, "sudo apt-get -q update && sudo apt-get -qy install --no-install-recommends hello && hello")


def test_a_machine_can_have_a_firewall_and_network_settings_of_its_own(local: Local):
    spec = local.machine(local.network().id, user_data="packages: [nftables]\n")
    local.ssh(spec, "cloud-init status --wait")
    local.ssh(spec, "sudo nft add table inet own && sudo nft list table inet own")
    local.ssh(spec, "echo 1234 | sudo tee /proc/sys/net/core/somaxconn")
    assert "inet own" not in subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout


def test_a_machine_has_an_identity_of_its_own(local: Local):
    network = local.network()
    first, second = local.machine(network.id), local.machine(network.id)
    assert first.address != second.address
    identity = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub | cut -d ' ' -f 1,2"
    assert not set(local.ssh(first, identity).split()[:1]) & set(local.ssh(second, identity).split()[:1])
    keys = [local.ssh(spec, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[1] for spec in (first, second)]
    assert keys[0] != keys[1]


def test_services_of_one_machine_are_not_stopped_by_another(local: Local):
    network = local.network()
    first, second = local.machine(network.id), local.machine(network.id)
    for spec in (first, second):
        local.ssh(spec, "sudo systemd-run --unit=same-name sleep 1000")
        groups = Path(f"/proc/{launch.init_of(spec.folder)}/cgroup").read_text()
        assert spec.id in groups, "two machines in one control group stop each other's services"
    local.ssh(first, "sudo systemctl stop same-name && ! pgrep -x sleep")
    assert local.ssh(second, "systemctl is-active same-name") == "active"


def test_after_a_reboot_a_machine_has_the_same_disk_and_address(local: Local):
    spec = local.machine(local.network().id)
    started = local.ssh(spec, "sudo touch /kept; systemctl show --value -p UserspaceTimestampMonotonic")
    local.ssh(spec, "sudo systemctl reboot", check=False)
    show = "ls /kept && systemctl show --value -p UserspaceTimestampMonotonic"
    launch.wait_until(lambda: local.ssh(spec, show, check=False) not in ("", f"/kept\n{started}"), "a reboot", 30)
    assert local.ssh(spec, "sudo cloud-init status --wait; ls /kept") == "status: done\n/kept"
    assert machine.status(spec.id) == "running"


def test_a_machine_that_powers_off_is_stopped_and_boots_again_with_its_disk(local: Local):
    spec = local.machine(local.network().id)
    local.ssh(spec, "sudo touch /kept && (sudo systemctl poweroff)", check=False)
    launch.wait_until(lambda: machine.status(spec.id) == "stopped", "a power-off", 30)
    machine.boot(spec.id)
    assert machine.status(spec.id) == "running"
    assert local.ssh(spec, "ls /kept; sudo cloud-init query instance_id") == f"/kept\n{spec.id}"


def test_stopping_a_machine_ends_its_services_in_order(local: Local):
    spec = local.machine(local.network().id)
    local.ssh(spec, "sudo systemd-run --unit=last -p ExecStop='/bin/sh -c \"touch /ended\"' sleep 1000")
    machine.stop(spec.id)
    assert machine.status(spec.id) == "stopped"
    machine.boot(spec.id)
    assert local.ssh(spec, "ls /ended") == "/ended"


def test_booting_a_running_machine_does_nothing(local: Local):
    spec = local.machine(local.network().id)
    before = launch.init_of(spec.folder)
    machine.boot(spec.id)
    assert before and launch.init_of(spec.folder) == before


def test_a_machine_whose_network_was_taken_down_is_connected_again_without_a_reboot(local: Local):
    network = local.network()
    spec = local.machine(network.id)
    local.ssh(spec, "true")
    before = launch.init_of(spec.folder)
    host.run(["ip", "link", "delete", network.id])
    assert bridge.status(network.id) == "down"
    assert machine.status(spec.id) == "unreachable"
    machine.boot(spec.id)
    assert local.ssh(spec, "uptime")
    assert launch.init_of(spec.folder) == before


def test_a_machine_boots_again_after_a_restart_of_this_computer(local: Local):
    """As after a restart of the computer: only the records and the disk are left."""
    network = local.network()
    spec = local.machine(network.id)
    local.ssh(spec, "sudo touch /kept; sync")
    launch.end(spec.id, spec.folder, spec.veth)
    host.run(["ip", "link", "delete", network.id])
    firewall.forbid(network.id)
    (spec.folder / "process").write_text("1 1 before-the-restart\n")
    assert machine.status(spec.id) == "stopped"
    machine.boot(spec.id)
    assert local.ssh(spec, f"ls /kept; {RESOLVE}") == "/kept\nresolved"


def test_a_machine_outlives_the_process_and_the_session_that_created_it(local: Local):
    network = local.network()
    id = local.new_id()
    program = "import sys; from components.local import machine; machine.create(id=sys.argv[1], owner='test', "
    program += "network=sys.argv[2], hostname='web-0', user_data=b'')"
    maker = subprocess.Popen([sys.executable, "-c", program, id, network.id], start_new_session=True)
    assert maker.wait(60) == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(maker.pid, signal.SIGKILL)
    assert machine.status(id) == "running"


@pytest.mark.parametrize("victim", ["supervisor", "all", "init"])
def test_destroy_removes_everything_of_a_machine_that_was_killed(local: Local, victim: str):
    spec = local.machine(local.network().id)
    local.ssh(spec, "true")
    supervisor, init = launch.supervisor(spec.folder), launch.init_of(spec.folder)
    assert supervisor and init
    everything = [line for line in traces() if line.startswith("process") and spec.id in line]
    pids = {
        "supervisor": [supervisor],
        "init": [init],
        "all": [int(line.split()[1][:-1]) for line in everything],
    }
    for pid in pids[victim]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    launch.wait_until(lambda: machine.status(spec.id) == "stopped", "the end of it")
    launch.wait_until(lambda: not Path(f"/proc/{init}").exists(), "the end of all that is inside")
    machine.destroy(spec.id)
    assert machine.status(spec.id) == "gone"
    assert not [line for line in traces() if spec.id in line or spec.veth in line]


def test_destroying_a_second_time_succeeds(local: Local):
    network = local.network()
    spec = local.machine(network.id)
    for _ in range(2):
        machine.destroy(spec.id)
        machine.destroy_network(network.id)


def test_destroying_a_network_destroys_its_machines(local: Local):
    network = local.network()
    spec = local.machine(network.id)
    machine.destroy_network(network.id)
    assert machine.status(spec.id) == "gone"


@pytest.mark.parametrize("step", ["_make_disk", "_boot"])
def test_a_failed_create_leaves_nothing_behind(local: Local, monkeypatch: pytest.MonkeyPatch, step: str):
    network = local.network()
    real = getattr(machine, step)

    def broken(*args: object) -> None:
        real(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, step, broken)
    id = local.new_id()
    with pytest.raises(KeyboardInterrupt):
        local.machine(network.id, id)
    assert machine.status(id) == "gone"
    assert not [line for line in traces() if id in line]


@pytest.mark.parametrize("moment", ["disk", "process"])
def test_destroy_orphans_removes_the_leftovers_of_a_killed_create(local: Local, moment: str):
    network = local.network()
    id = local.new_id()
    program = "import sys; from components.local import machine; machine.create(id=sys.argv[1], owner='"
    program += f"{local.name}', network=sys.argv[2], hostname='web-0', user_data=b'')"
    maker = subprocess.Popen([sys.executable, "-c", program, id, network.id])
    waiting_for = machine.folder_of(id) / moment
    launch.wait_until(waiting_for.exists, "the create to get there")
    maker.kill()
    maker.wait()
    machine.destroy_orphans(local.name)
    assert machine.status(id) == "gone"
    spec = local.machine(network.id)
    assert local.ssh(spec, "true") == ""


def test_the_error_for_a_machine_that_cannot_boot_shows_its_console(local: Local, monkeypatch: pytest.MonkeyPatch):
    network = local.network()
    monkeypatch.setattr(launch.Launch, "arguments", lambda _: ["--no-such-option"])
    with pytest.raises(LocalError, match="no-such-option"):
        local.machine(network.id)


def test_a_duplicate_name_is_refused_and_the_first_machine_keeps_running(local: Local):
    spec = local.machine(local.network().id)
    with pytest.raises(LocalError, match=f"There is a local machine {spec.id} already"):
        local.machine(spec.network, spec.id)
    assert machine.status(spec.id) == "running"


def test_machines_created_at_the_same_time_get_different_addresses(local: Local):
    network = local.network()
    ids = [local.new_id() for _ in range(4)]
    threads = [threading.Thread(target=local.machine, args=(network.id, id)) for id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    specs = [spec for spec in map(machine.find, ids) if spec]
    assert sorted(spec.address for spec in specs) == sorted({spec.address for spec in specs})
    assert [machine.status(spec.id) for spec in specs] == ["running"] * 4


def test_two_networks_exist_side_by_side_and_cannot_reach_each_other(local: Local):
    one, two = local.network(), local.network()
    assert one.cidr != two.cidr
    here, there = local.machine(one.id), local.machine(two.id)
    neighbour = local.machine(one.id)
    local.ssh(there, "true")
    local.ssh(neighbour, "true")
    knock = "timeout 2 bash -c '</dev/tcp/{}/22' && echo open || echo closed"
    assert local.ssh(here, knock.format(neighbour.address)) == "open"
    assert local.ssh(here, knock.format(there.address)) == "closed"
    machine.destroy_network(one.id)
    assert local.ssh(there, RESOLVE) == "resolved"


def test_an_address_range_in_use_is_refused_and_nothing_is_created(local: Local):
    network = local.network()
    with pytest.raises(LocalError, match=f"overlaps {network.cidr}"):
        local.network(network.cidr)


def test_machines_reach_the_mirror_although_this_computer_drops_forwarded_packets(local: Local):
    table = f"strict{local.name[-6:]}"
    chain = "chain forward {\ntype filter hook forward priority 0; policy drop;\n}"
    strict = f"table inet {table} {{\n{chain}\n}}\n"
    host.run(["nft", "-f", "-"], stdin=strict)
    try:
        network = local.network()
        spec = local.machine(network.id)
        assert local.ssh(spec, RESOLVE) == "resolved"
        local.destroy()
        assert network.id not in host.run(["nft", "list", "table", "inet", table]).stdout
    finally:
        host.run(["nft", "delete", "table", "inet", table])


def test_the_disk_is_a_copy_where_overlays_do_not_work(local: Local, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "_can_overlay", lambda _: False)
    spec = local.machine(local.network().id)
    assert spec.disk == "copy"
    assert local.ssh(spec, "cloud-init status --wait; sudo touch /kept") == "status: done"
    assert not (image.root_of(spec.image) / "kept").exists(), "the base image was written to"
    machine.stop(spec.id)
    machine.boot(spec.id)
    assert local.ssh(spec, "ls /kept") == "/kept"


def test_other_users_of_this_computer_cannot_read_a_machines_disk(local: Local):
    spec = local.machine(local.network().id)
    for path in (spec.folder / "spec.json", spec.folder / "disk"):
        done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "ls", path], capture_output=True)
        assert done.returncode != 0
