from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections import namedtuple
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from components.local import apt, computer, image, launch, machine, store
from components.local.computer import LocalError

LAUNCH = launch.Launch(
    id="i-0a1b2c3d",
    folder=Path("/var/lib/gantry/machines/i-0a1b2c3d"),
    image=Path("/var/cache/gantry/images/abc/root"),
    veth="gveth-01234567",
    bridge="gantry-a1b2c3",
    address="10.77.5.2/24",
    gateway="10.77.5.1",
    hostname="web-0",
)
RECIPE = image.Recipe(
    mirror=apt.Mirror(archive="http://m.test/debian", security="http://m.test/debian-security"),
    apt_options="",
    certificates="",
    script="true",
)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "STATE", tmp_path)
    monkeypatch.setattr(store, "MACHINES", tmp_path / "machines")
    monkeypatch.setattr(store, "NETWORKS", tmp_path / "networks")
    return tmp_path


def test_a_machine_has_the_hardware_address_of_its_ip_address():
    assert "HARDWARE_ADDRESS=02:00:0a:4d:05:02" in LAUNCH.variables([]).splitlines()


# Errors of the computer


def test_without_root_the_error_says_sudo(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LocalError, match=r"user 1000.*sudo"):
        computer.require_root_and_tools()


def test_missing_tools_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(LocalError, match=r"sudo apt-get install no-such-package$"):
        computer.require_root_and_tools({"no-such-tool": "no-such-package", "sh": "dash"})


def test_an_error_about_too_little_disk_space_has_both_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(0, 0, 700 * 2**20))
    with pytest.raises(LocalError, match=r"700 MiB free. A machine needs 1000 MiB.*prune-images"):
        computer.require_disk_space(tmp_path, 1000, "A machine")


def test_the_error_of_a_failed_command_has_its_output():
    with pytest.raises(LocalError, match=r"`sh -c .*` failed: no such thing"):
        computer.run(["sh", "-c", "echo no such thing >&2; exit 3"])


# The base image


def test_every_changed_part_of_the_recipe_makes_another_image():
    changed = (
        replace(RECIPE, mirror=replace(RECIPE.mirror, archive="http://n.test/debian")),
        replace(RECIPE, apt_options="Acquire::Check-Date false;"),
        replace(RECIPE, certificates="x"),
        replace(RECIPE, script="false"),
        replace(RECIPE, installed=("cloud-init",)),
    )
    assert len({RECIPE.digest, *(recipe.digest for recipe in changed)}) == 1 + len(changed)


def test_the_build_runs_in_namespaces_that_end_with_it():
    command = image.bootstrap_command(RECIPE, Path("/x"))
    assert command[: len(image.isolation_command())] == image.isolation_command()
    assert "--kill-child" in command
    assert command[-3:] == ["trixie", "/x", "http://m.test/debian"]


def test_only_certificates_that_debian_lacks_are_added():
    def certificate(body: str) -> str:
        return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"

    bundle = certificate("AAA") + "# a company's\n" + certificate("BBB")
    assert image.extra_certificates(bundle, {certificate("AAA").strip()}) == [certificate("BBB")]


# Commands of a machine


def test_a_machine_under_systemd_is_started_with_this_command():
    assert launch.service_command(LAUNCH) == [
        "systemd-run",
        "--quiet",
        "--collect",
        "--unit=gantry-i-0a1b2c3d.service",
        "--property=Description=Gantry machine i-0a1b2c3d",
        "--property=Delegate=yes",
        "--property=KillMode=mixed",
        "--property=TimeoutStopSec=30",
        "--property=TasksMax=16384",
        "--property=StandardOutput=append:/var/lib/gantry/machines/i-0a1b2c3d/console.log",
        "--property=StandardError=append:/var/lib/gantry/machines/i-0a1b2c3d/console.log",
        "sh",
        "/var/lib/gantry/machines/i-0a1b2c3d/supervise.sh",
        "/var/lib/gantry/machines/i-0a1b2c3d",
    ]


def test_without_systemd_a_machine_is_started_in_a_session_of_its_own():
    assert launch.session_command(LAUNCH) == [
        "setsid",
        "--fork",
        "sh",
        "/var/lib/gantry/machines/i-0a1b2c3d/supervise.sh",
        "/var/lib/gantry/machines/i-0a1b2c3d",
    ]


def test_without_systemd_a_machine_does_not_inherit_the_variables_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    environments: list[dict[str, str]] = []
    monkeypatch.setenv("TOKEN", "hunter2")
    monkeypatch.setattr(computer, "has_systemd", lambda: False)
    monkeypatch.setattr(launch, "machine_cgroups", lambda _: [])
    monkeypatch.setattr(launch, "_wait_for_init", lambda _: None)
    monkeypatch.setattr(subprocess, "run", lambda *_, env, **__: environments.append(env))
    launch.start(replace(LAUNCH, folder=tmp_path))
    assert [set(env) for env in environments] == [{"LC_ALL", "PATH"}]


def test_a_shell_reads_the_supervisors_settings_unchanged():
    text = launch.Launch(**{**LAUNCH.__dict__, "hostname": "web-0"}).variables([Path("/sys/a b")])
    values = subprocess.run(
        ["sh", "-c", f'{text}\nprintf "%s\\n" "$CGROUPS" "$IMAGE" "$ARGUMENTS"'],
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert values == ["/sys/a b", "/var/cache/gantry/images/abc/root", " ".join(LAUNCH.arguments())]


def test_every_argument_of_the_machine_is_one_word():
    assert all(shlex.split(argument) == [argument] for argument in LAUNCH.arguments())


def test_a_copied_disk_needs_no_image():
    assert "IMAGE=''\n" in replace(LAUNCH, image=None).variables([])


def test_cgroups_are_created_in_each_hierarchy_of_the_computer(tmp_path: Path):
    for name in ("unified", "systemd", "memory"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    assert launch.machine_cgroups("m", tmp_path) == [tmp_path / "unified/gantry/m", tmp_path / "systemd/gantry/m"]
    (tmp_path / "cgroup.procs").touch()
    (tmp_path / "cgroup.controllers").touch()
    assert launch.machine_cgroups("m", tmp_path) == [tmp_path / "gantry/m"]


# Finding the process again


def record(folder: Path, *, pid: int, start: str, boot: str) -> None:
    (folder / "process").write_text(f"{pid} {start} {boot}\n")


def start_of_this_process() -> str:
    return Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]


def test_the_recorded_process_is_found_while_it_lives(tmp_path: Path):
    record(tmp_path, pid=os.getpid(), start=start_of_this_process(), boot=computer.boot_id())
    assert launch.supervisor(tmp_path) == os.getpid()


def test_another_process_with_the_same_number_is_not_found(tmp_path: Path):
    record(tmp_path, pid=os.getpid(), start=str(int(start_of_this_process()) - 1), boot=computer.boot_id())
    assert launch.supervisor(tmp_path) is None
    record(tmp_path, pid=os.getpid(), start=start_of_this_process(), boot="another-boot")
    assert launch.supervisor(tmp_path) is None


def test_a_process_that_ended_is_not_found(tmp_path: Path):
    process = subprocess.Popen(["true"])
    process.wait()
    record(tmp_path, pid=process.pid, start="1", boot=computer.boot_id())
    assert launch.supervisor(tmp_path) is None


# Records


def spec(id: str = "i-1", *, owner: str = "net/web", complete: bool = False, claimed: bool = False) -> machine.Spec:
    return machine.Spec(
        id=id,
        owner=owner,
        network="gantry-a1b2c3",
        hostname="web",
        image="abc",
        address="10.77.0.2",
        complete=complete,
        claimed=claimed,
    )


def save(*specs: machine.Spec) -> None:
    for spec in specs:
        spec.folder.mkdir(parents=True)
        store.write_json(spec.folder / "spec.json", asdict(spec))


def test_a_record_of_a_machine_that_is_written_and_read_is_the_same(state: Path):
    save(spec())
    assert machine.find("i-1") == spec()
    assert machine.find("i-2") is None


def test_what_a_newer_version_has_added_to_a_record_is_ignored(state: Path):
    save(spec())
    store.write_json(spec().folder / "spec.json", {**asdict(spec()), "colour": "red"})
    assert machine.find("i-1") == spec()


def test_a_machine_whose_folder_has_no_record_is_half_made(state: Path):
    (state / "machines/i-1").mkdir(parents=True)
    assert machine.status("i-1") == "half-made"
    assert machine.status("i-2") == "gone"


def test_unfinished_and_unclaimed_machines_are_orphans(state: Path, monkeypatch: pytest.MonkeyPatch):
    save(
        spec("i-half"),
        spec("i-unseen", complete=True),
        spec("i-claimed", complete=True, claimed=True),
        spec("i-other", owner="net/else"),
    )
    destroyed: list[str] = []
    monkeypatch.setattr(machine, "destroy", destroyed.append)
    machine.destroy_orphans("net/web")
    assert destroyed == ["i-half", "i-unseen"]


def test_a_claimed_machine_stays_claimed(state: Path):
    save(spec())
    machine.claim("i-1")
    machine.claim("i-gone")
    assert machine.find("i-1") == replace(spec(), claimed=True)


@pytest.mark.parametrize("id", ["", "../x", "A", "a/b", ".doomed-x", "x" * 41])
def test_an_id_cannot_name_a_path_outside_the_folder_of_machines(id: str):
    with pytest.raises(ValueError, match=r"not the id of a machine"):
        machine.folder_of(id)


def test_link_names_are_unique_and_fit_into_the_kernels_fifteen_characters():
    names = {machine.veth_of(f"i-{number}") for number in range(1000)}
    assert len(names) == 1000
    assert max(map(len, names)) <= 15


def test_a_killed_removal_is_completed_later(state: Path):
    (state / ".doomed-i-1/disk").mkdir(parents=True)
    store.sweep(state)
    assert not list(state.iterdir())


def test_a_lock_keeps_another_process_out(tmp_path: Path):
    program = "import sys; from components.local import store; from pathlib import Path\n"
    program += "with store.lock(Path(sys.argv[1])): print('in', flush=True)"
    with store.lock(tmp_path):
        other = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
    assert other.communicate(timeout=10)[0] == b"in\n"


def test_a_lock_without_create_does_not_create_a_missing_folder(tmp_path: Path):
    with store.lock(tmp_path / "gone", create=False):
        assert not (tmp_path / "gone").exists()
