"""Starting, finding and ending the processes of one machine."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from components.local import host
from components.local.host import LocalError, run

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What supervise.sh needs to know for one boot."""

    id: str
    folder: Path
    image: Path | None  # None: the disk is a whole copy, not a layer over the image
    veth: str
    bridge: str
    address: str  # with the length of the network's prefix
    gateway: str
    hostname: str

    def arguments(self) -> list[str]:
        return [
            *("--boot", f"--machine={self.hostname}", "--register=no", "--keep-unit", "--console=read-only"),
            *("--network-namespace-path=/proc/self/ns/net", "--capability=CAP_NET_ADMIN"),
            *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
        ]

    def environment(self, cgroups: list[Path]) -> str:
        values = {
            "ID": self.id,
            "IMAGE": str(self.image or ""),
            "VETH": self.veth,
            "BRIDGE": self.bridge,
            "ADDRESS": self.address,
            "HARDWARE_ADDRESS": host.hardware_address(self.address.partition("/")[0]),
            "GATEWAY": self.gateway,
            "CGROUPS": " ".join(map(str, cgroups)),
            "ARGUMENTS": " ".join(self.arguments()),
        }
        return "".join(f"{key}={shlex.quote(value)}\n" for key, value in values.items())


def unit_name(id: str) -> str:
    return f"gantry-{id}.service"


def supervise_command(folder: Path) -> list[str]:
    return ["sh", str(folder / "supervise.sh"), str(folder)]


def daemon_command(launch: Launch) -> list[str]:
    """On a host without systemd the machine is a session of its own, which nobody waits for."""
    return ["setsid", "--fork", *supervise_command(launch.folder)]


def service_command(launch: Launch) -> list[str]:
    """On a host with systemd the machine is a unit of its own, outside the session that started it."""
    properties = (
        f"Description=Gantry machine {launch.id}",
        "Delegate=yes",
        "KillMode=mixed",
        "TimeoutStopSec=30",
        "TasksMax=16384",
        f"StandardOutput=append:{launch.folder / 'console.log'}",
        f"StandardError=append:{launch.folder / 'console.log'}",
    )
    return [
        *("systemd-run", "--quiet", "--collect", f"--unit={unit_name(launch.id)}"),
        *(f"--property={setting}" for setting in properties),
        *supervise_command(launch.folder),
    ]


def own_cgroups(id: str, root: Path = _CGROUPS) -> list[Path]:
    """Control groups for a host without systemd: machines that shared one would stop each other's services.

    One for cgroup v2, and one for systemd's v1 hierarchy where there still is one.
    """
    hierarchies = [root] if (root / "cgroup.controllers").exists() else [root / "unified", root / "systemd"]
    return [hierarchy / "gantry" / id for hierarchy in hierarchies if (hierarchy / "cgroup.procs").exists()]


def start(launch: Launch) -> None:
    """Starts the supervisor so that it outlives this process; returns when the machine's init runs."""
    cgroups = [] if host.has_systemd() else own_cgroups(launch.id)
    for cgroup in cgroups:
        cgroup.mkdir(parents=True, exist_ok=True)
    (launch.folder / "machine.env").write_text(launch.environment(cgroups))
    (launch.folder / "process").unlink(missing_ok=True)
    if host.has_systemd():
        run(service_command(launch))
    else:
        with (launch.folder / "console.log").open("ab") as console:
            command = daemon_command(launch)
            # The machine outlives this program; what is secret in its environment mustn't.
            env = {name: host.environment()[name] for name in ("LC_ALL", "PATH")}
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=env, check=True)
    _wait_for_init(launch)


def _wait_for_init(launch: Launch, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if init_of(launch.folder):
            return
        if (launch.folder / "process").exists() and not supervisor(launch.folder):
            break
        time.sleep(0.05)
    log = launch.folder / "console.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.is_file() else ""
    raise LocalError(
        f"The machine {launch.id} did not boot; its console said:\n{tail}\n",
        "systemd-nspawn must be able to start Debian's systemd",
        "Look for what it complains about; `python -m components.local list` shows what is there",
    )


def supervisor(folder: Path) -> int | None:
    """The process that holds the machine, if it lives: the recorded one, not another with the same number."""
    try:
        pid, started, boot = (folder / "process").read_text().split()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if boot != host.boot_id() or started != _started(int(pid)):
        return None
    return int(pid)


def _started(pid: int) -> str | None:
    """The start time of a living process; a zombie, killed but not yet waited for, doesn't count."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def _descendants(pid: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in map(int, children):
        yield child
        yield from _descendants(child)


def _named(folder: Path, names: set[str]) -> int | None:
    if pid := supervisor(folder):
        for process in _descendants(pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if Path(f"/proc/{process}/comm").read_text().strip() in names:
                    return process
    return None


def init_of(folder: Path) -> int | None:
    """The machine's own init, by the number that the host knows it by."""
    return _named(folder, {"systemd", "init"})


def wait_for_services(folder: Path, seconds: float) -> None:
    """Until everything that starts with the machine has been started, or has failed to."""
    inside = ["nsenter", "--target", str(init_of(folder)), "--mount", "--pid", "--cgroup", "--ipc", "--uts"]
    command = [*inside, "timeout", str(seconds), "systemctl", "is-system-running", "--wait"]
    wait_until(
        lambda: host.run(command, check=False).stdout.strip() in ("running", "degraded"), "its services", seconds
    )


def ask_to_power_off(folder: Path) -> bool:
    """systemd-nspawn passes a SIGTERM on to the machine's init as the order to power off."""
    nspawn = _named(folder, {"systemd-nspawn"})
    if nspawn:
        with contextlib.suppress(ProcessLookupError):
            os.kill(nspawn, signal.SIGTERM)
    return bool(nspawn)


def end(id: str, folder: Path, veth: str) -> None:
    """Ends what is left of the machine's processes and of what the kernel keeps for them."""
    if pid := supervisor(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if host.has_systemd():
        run(["systemctl", "kill", "--signal=KILL", unit_name(id)], check=False)
        run(["systemctl", "stop", unit_name(id)], check=False)
    groups = own_cgroups(id)
    for process in _members(groups):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    wait_until(lambda: not supervisor(folder) and not any(_members(groups)), f"the processes of {id} to end")
    if Path(f"/sys/class/net/{veth}").exists():
        # The kernel may be at it already.
        run(["ip", "link", "delete", veth], check=False)
    wait_until(lambda: not Path(f"/sys/class/net/{veth}").exists(), f"the link {veth} to go")
    for group in groups:
        _remove_cgroup(group)
    (folder / "process").unlink(missing_ok=True)


def _members(groups: list[Path]) -> Iterator[int]:
    for group in groups:
        for folder, _, _ in os.walk(group):
            with contextlib.suppress(OSError):
                yield from map(int, Path(folder, "cgroup.procs").read_text().split())


def _remove_cgroup(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    # The one that all machines share goes with the last of them.
    with contextlib.suppress(OSError):
        group.parent.rmdir()


def wait_until(done: Callable[[], bool], what: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise LocalError(
                f"Waited {seconds:.0f} s in vain for {what}",
                "A machine is only gone when nothing of it is left",
                "Try again; `python -m components.local list` shows what is there",
            )
        time.sleep(0.02)
