"""Life of a machine of the local target: boot, reboot, stop, destroy, failed creates. Without Pulumi."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from components.local import bridge, computer, firewall, launch, machine
from components.local.computer import LocalError
from tests.machine.leftovers import traces
from tests.machine.local_machines import LocalMachines

pytestmark = pytest.mark.machine


def test_a_machine_boots_runs_cloud_init_and_reaches_the_package_mirror(machines: LocalMachines):
    user_data = machines.user_data("write_files: [{path: /etc/first-boot, content: made}]\n")
    spec = machines.create(user_data=user_data)
    assert machine.status(spec.id) == "running"
    assert machines.ssh(spec, "cloud-init status --wait") == "status: done"
    assert machines.ssh(spec, "systemctl is-system-running --wait") == "running"
    assert machines.ssh(spec, "hostname; cat /etc/first-boot; echo; stat -c %a /") == "web-0\nmade\n755"
    assert spec.address in machines.ssh(spec, "ip -4 address show eth0")
    assert machines.ssh(spec, "sudo -n true; getent hosts web-0").startswith("127.0.1.1")
    machines.ssh(spec, "sudo apt-get -q update && sudo apt-get -qy install --no-install-recommends hello && hello")


def test_a_machine_has_an_identity_of_its_own(machines: LocalMachines):
    network = machines.create_network()
    first, second = machines.create(network.id), machines.create(network.id)
    assert first.address != second.address
    identity = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub | cut -d ' ' -f 1,2"
    assert not set(machines.ssh(first, identity).split()[:1]) & set(machines.ssh(second, identity).split()[:1])
    keys = [machines.ssh(spec, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[1] for spec in (first, second)]
    assert keys[0] != keys[1]


def test_services_of_one_machine_are_not_stopped_by_another(machines: LocalMachines):
    network = machines.create_network()
    first, second = machines.create(network.id), machines.create(network.id)
    for spec in (first, second):
        machines.ssh(spec, "sudo systemd-run --unit=same-name sleep 1000")
        groups = Path(f"/proc/{launch.init_process(spec.folder)}/cgroup").read_text()
        assert spec.id in groups, "two machines in one control group stop each other's services"
    machines.ssh(first, "sudo systemctl stop same-name && ! pgrep -x sleep")
    assert machines.ssh(second, "systemctl is-active same-name") == "active"


def test_after_a_reboot_a_machine_has_the_same_disk_and_address(machines: LocalMachines):
    spec = machines.create()
    boot_time = machines.ssh(spec, "sudo touch /kept; systemctl show --value -p UserspaceTimestampMonotonic")
    machines.ssh(spec, "sudo systemctl reboot", check=False)
    show = "ls /kept && systemctl show --value -p UserspaceTimestampMonotonic"
    before = ("", f"/kept\n{boot_time}")
    launch.wait_until(lambda: machines.ssh(spec, show, check=False) not in before, "a reboot", 30)
    assert machines.ssh(spec, "sudo cloud-init status --wait; ls /kept") == "status: done\n/kept"
    assert machine.status(spec.id) == "running"


def test_a_machine_that_powers_off_is_stopped_and_boots_again_with_its_disk(machines: LocalMachines):
    spec = machines.create()
    machines.ssh(spec, "sudo touch /kept && (sudo systemctl poweroff)", check=False)
    launch.wait_until(lambda: machine.status(spec.id) == "stopped", "a power-off", 30)
    machine.boot(spec.id)
    assert machine.status(spec.id) == "running"
    assert machines.ssh(spec, "ls /kept; sudo cloud-init query instance_id") == f"/kept\n{spec.id}"


def test_stopping_a_machine_ends_its_services_in_order(machines: LocalMachines):
    spec = machines.create()
    machines.ssh(spec, "sudo systemd-run --unit=last -p ExecStop='/bin/sh -c \"touch /ended\"' sleep 1000")
    machine.stop(spec.id)
    assert machine.status(spec.id) == "stopped"
    machine.boot(spec.id)
    assert machines.ssh(spec, "ls /ended") == "/ended"


def test_booting_a_running_machine_does_nothing(machines: LocalMachines):
    spec = machines.create()
    before = launch.init_process(spec.folder)
    machine.boot(spec.id)
    assert before and launch.init_process(spec.folder) == before


def test_a_machine_boots_again_after_a_restart_of_this_computer(machines: LocalMachines):
    """Simulates the restart: only the records and the disk are left, nothing in the kernel."""
    network = machines.create_network()
    spec = machines.create(network.id)
    machines.ssh(spec, "sudo touch /kept; sync")
    launch.kill(spec.id, spec.folder, spec.veth)
    computer.run(["ip", "link", "delete", network.id])
    firewall.remove_rules(network.id)
    (spec.folder / "process").write_text("1 1 before-the-restart\n")
    assert machine.status(spec.id) == "stopped"
    machine.boot(spec.id)
    assert machines.ssh(spec, "ls /kept") == "/kept"
    assert machines.resolves_mirror(spec)


def test_a_machine_outlives_the_process_and_the_session_that_created_it(machines: LocalMachines):
    id, process = start_create(machines, start_new_session=True)
    assert process.wait(60) == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert machine.status(id) == "running"


@pytest.mark.parametrize("victim", ["supervisor", "all", "init"])
def test_destroy_removes_everything_of_a_machine_that_was_killed(machines: LocalMachines, victim: str):
    spec = machines.create()
    machines.ssh(spec, "true")
    supervisor, init = launch.supervisor(spec.folder), launch.init_process(spec.folder)
    assert supervisor and init
    processes = [line for line in traces() if line.startswith("process") and spec.id in line]
    pids = {
        "supervisor": [supervisor],
        "init": [init],
        "all": [int(line.split()[1][:-1]) for line in processes],
    }
    for pid in pids[victim]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    launch.wait_until(lambda: machine.status(spec.id) == "stopped", "the machine's end")
    launch.wait_until(lambda: not Path(f"/proc/{init}").exists(), "the end of all processes in the machine")
    machine.destroy(spec.id)
    assert machine.status(spec.id) == "gone"
    assert not [line for line in traces() if spec.id in line or spec.veth in line]


def test_destroying_a_second_time_succeeds(machines: LocalMachines):
    network = machines.create_network()
    spec = machines.create(network.id)
    for _ in range(2):
        machine.destroy(spec.id)
        machine.destroy_network(network.id)


def test_destroying_a_network_destroys_its_machines(machines: LocalMachines):
    network = machines.create_network()
    spec = machines.create(network.id)
    machine.destroy_network(network.id)
    assert machine.status(spec.id) == "gone"


@pytest.mark.parametrize("step", ["_create_disk", "_boot"])
def test_a_failed_create_leaves_nothing_behind(machines: LocalMachines, monkeypatch: pytest.MonkeyPatch, step: str):
    network = machines.create_network()
    real_step = getattr(machine, step)

    def interrupted_step(*args: object) -> None:
        real_step(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, step, interrupted_step)
    id = machines.new_id()
    with pytest.raises(KeyboardInterrupt):
        machines.create(network.id, id)
    assert machine.status(id) == "gone"
    assert not [line for line in traces() if id in line]


@pytest.mark.parametrize("moment", ["disk", "process"])
def test_destroy_orphans_removes_the_leftovers_of_a_killed_create(machines: LocalMachines, moment: str):
    id, process = start_create(machines)
    launch.wait_until((machine.folder_of(id) / moment).exists, f"the create to write {moment}")
    process.kill()
    process.wait()
    machine.destroy_orphans(machines.owner)
    assert machine.status(id) == "gone"
    spec = machines.create(machines.network_ids[0])
    assert machines.ssh(spec, "true") == ""


def start_create(machines: LocalMachines, start_new_session: bool = False) -> tuple[str, subprocess.Popen[bytes]]:
    """Start to create a machine on a new network in another process; returns the machine's id and the process."""
    network, id = machines.create_network(), machines.new_id()
    program = "import sys; from components.local import machine; machine.create(id=sys.argv[1], owner=sys.argv[2], "
    program += "network=sys.argv[3], hostname='web-0', user_data=b'')"
    command = [sys.executable, "-c", program, id, machines.owner, network.id]
    return id, subprocess.Popen(command, start_new_session=start_new_session)


def test_the_error_for_a_machine_that_cannot_boot_shows_its_console(
    machines: LocalMachines, monkeypatch: pytest.MonkeyPatch
):
    network = machines.create_network()
    monkeypatch.setattr(launch.Launch, "arguments", lambda _: ["--no-such-option"])
    with pytest.raises(LocalError, match="no-such-option"):
        machines.create(network.id)


def test_a_duplicate_name_is_refused_and_the_first_machine_keeps_running(machines: LocalMachines):
    spec = machines.create()
    with pytest.raises(LocalError, match=f"There is a local machine {spec.id} already"):
        machines.create(spec.network, spec.id)
    assert machine.status(spec.id) == "running"


def test_machines_created_at_the_same_time_get_different_addresses(machines: LocalMachines):
    network = machines.create_network()
    ids = [machines.new_id() for _ in range(4)]
    threads = [threading.Thread(target=machines.create, args=(network.id, id)) for id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    specs = [spec for spec in map(machine.find, ids) if spec]
    assert sorted(spec.address for spec in specs) == sorted({spec.address for spec in specs})
    assert [machine.status(spec.id) for spec in specs] == ["running"] * 4


def test_a_machine_whose_network_was_taken_down_is_connected_again_without_a_reboot(machines: LocalMachines):
    network = machines.create_network()
    spec = machines.create(network.id)
    machines.ssh(spec, "true")
    before = launch.init_process(spec.folder)
    computer.run(["ip", "link", "delete", network.id])
    assert bridge.status(network.id) == "down"
    assert machine.status(spec.id) == "unreachable"
    machine.boot(spec.id)
    assert machines.ssh(spec, "uptime")
    assert launch.init_process(spec.folder) == before
