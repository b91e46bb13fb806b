"""Starts, finds and ends the processes of one machine."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from components.local import computer
from components.local.computer import LocalError, run
from host.paths import Paths

_CGROUPS = Path("/sys/fs/cgroup")
_SUPERVISOR = "supervise.sh"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Everything that supervise.sh needs for one boot."""

    id: str
    folder: Path
    image: Path | None  # None: the disk is a whole copy, not a layer over the image
    veth: str
    bridge: str
    address: str  # with the length of the network's prefix
    gateway: str
    hostname: str
    volume: Path | None = None  # a folder of this computer that the machine sees

    def arguments(self) -> list[str]:
        """The arguments of systemd-nspawn."""
        return [
            *("--boot", f"--machine={self.hostname}", "--register=no", "--keep-unit", "--console=read-only"),
            *("--network-namespace-path=/proc/self/ns/net", "--capability=CAP_NET_ADMIN"),
            *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
            *([f"--bind={self.volume}:{Paths().volume}"] if self.volume else ()),
        ]

    def variables(self, cgroups: list[Path]) -> str:
        """The text of machine.env, which supervise.sh reads."""
        values = {
            "ID": self.id,
            "IMAGE": str(self.image or ""),
            "VETH": self.veth,
            "BRIDGE": self.bridge,
            "ADDRESS": self.address,
            "HARDWARE_ADDRESS": computer.hardware_address(self.address.partition("/")[0]),
            "GATEWAY": self.gateway,
            "CGROUPS": " ".join(map(str, cgroups)),
            "ARGUMENTS": " ".join(self.arguments()),
        }
        return "".join(f"{key}={shlex.quote(value)}\n" for key, value in values.items())


def unit_name(id: str) -> str:
    return f"gantry-{id}.service"


def install_supervisor(folder: Path) -> None:
    """Copies supervise.sh to the machine, so that each boot of it uses the same version."""
    shutil.copy(Path(__file__).with_name(_SUPERVISOR), folder / _SUPERVISOR)


def supervisor_command(folder: Path) -> list[str]:
    return ["sh", str(folder / _SUPERVISOR), str(folder)]


def session_command(launch: Launch) -> list[str]:
    """Starts the machine in a session of its own, in the background. For a computer without systemd."""
    return ["setsid", "--fork", *supervisor_command(launch.folder)]


def service_command(launch: Launch) -> list[str]:
    """Starts the machine as a unit, outside the session of the user. For a computer with systemd."""
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
        *supervisor_command(launch.folder),
    ]


def machine_cgroups(id: str, root: Path = _CGROUPS) -> list[Path]:
    """The machine's control groups on a computer without systemd: one for each hierarchy that systemd uses.

    Two machines in one control group would stop each other's services. The hierarchies are cgroup v2, and on a computer
    with v1 also the one that is named systemd.
    """
    hierarchies = [root] if (root / "cgroup.controllers").exists() else [root / "unified", root / "systemd"]
    return [hierarchy / "gantry" / id for hierarchy in hierarchies if (hierarchy / "cgroup.procs").exists()]


def start(launch: Launch) -> None:
    """Starts the machine so that it outlives this process. Returns when the machine's init runs."""
    cgroups = [] if computer.has_systemd() else machine_cgroups(launch.id)
    for cgroup in cgroups:
        cgroup.mkdir(parents=True, exist_ok=True)
    (launch.folder / "machine.env").write_text(launch.variables(cgroups))
    (launch.folder / "process").unlink(missing_ok=True)
    if computer.has_systemd():
        run(service_command(launch))
    else:
        with (launch.folder / "console.log").open("ab") as console:
            command = session_command(launch)
            # Secrets in this process's variables must not live as long as the machine.
            env = {name: computer.command_env()[name] for name in ("LC_ALL", "PATH")}
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=env, check=True)
    _wait_for_init(launch)


def _wait_for_init(launch: Launch, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if init_process(launch.folder):
            return
        if (launch.folder / "process").exists() and not supervisor(launch.folder):
            break
        time.sleep(0.05)
    log = launch.folder / "console.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.is_file() else ""
    raise LocalError(
        f"The machine {launch.id} did not boot. Its console log ends with:\n{tail}\n",
        "systemd-nspawn must be able to start Debian's systemd",
        "Fix the cause that the log names; `python -m components.local list` shows all machines",
    )


def supervisor(folder: Path) -> int | None:
    """The id of the machine's supervisor process, or None if it doesn't run.

    Its start time and boot are compared with the record, because the kernel may have given its id to another process.
    """
    try:
        pid, start_time, boot = (folder / "process").read_text().split()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if boot != computer.boot_id() or start_time != _start_time(int(pid)):
        return None
    return int(pid)


def _start_time(pid: int) -> str | None:
    """The start time of a running process. A zombie, which was killed and not yet waited for, doesn't run."""
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


def _process_named(folder: Path, names: set[str]) -> int | None:
    """The id of the machine's first process with one of these names."""
    if pid := supervisor(folder):
        for process in _descendants(pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if Path(f"/proc/{process}/comm").read_text().strip() in names:
                    return process
    return None


def init_process(folder: Path) -> int | None:
    """The process id of the machine's init on this computer, or None if the machine doesn't run."""
    return _process_named(folder, {"systemd", "init"})


def wait_for_services(folder: Path, seconds: float) -> None:
    """Waits until the services of the machine have started or failed. Raises LocalError after the limit."""
    namespaces = ["nsenter", "--target", str(init_process(folder)), "--mount", "--pid", "--cgroup", "--ipc", "--uts"]
    command = [*namespaces, "timeout", str(seconds), "systemctl", "is-system-running", "--wait"]
    wait_until(
        lambda: run(command, check=False).stdout.strip() in ("running", "degraded"),
        "the services of the machine",
        seconds,
    )


def request_power_off(folder: Path) -> bool:
    """Requests the power-off of the machine; returns whether it runs. systemd-nspawn forwards SIGTERM to its init."""
    nspawn = _process_named(folder, {"systemd-nspawn"})
    if nspawn:
        with contextlib.suppress(ProcessLookupError):
            os.kill(nspawn, signal.SIGTERM)
    return bool(nspawn)


def kill(id: str, folder: Path, veth: str) -> None:
    """Kills all processes of the machine, and removes its link and its control groups from the kernel."""
    if pid := supervisor(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if computer.has_systemd():
        run(["systemctl", "kill", "--signal=KILL", unit_name(id)], check=False)
        run(["systemctl", "stop", unit_name(id)], check=False)
    cgroups = machine_cgroups(id)
    for process in _members(cgroups):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    wait_until(lambda: not supervisor(folder) and not any(_members(cgroups)), f"the end of the processes of {id}")
    if Path(f"/sys/class/net/{veth}").exists():
        # The kernel may be removing it already.
        run(["ip", "link", "delete", veth], check=False)
    wait_until(lambda: not Path(f"/sys/class/net/{veth}").exists(), f"the removal of the link {veth}")
    for cgroup in cgroups:
        _remove_cgroup(cgroup)
    (folder / "process").unlink(missing_ok=True)


def _members(cgroups: list[Path]) -> Iterator[int]:
    """The ids of all processes in these control groups and in those below them."""
    for cgroup in cgroups:
        for folder, _, _ in os.walk(cgroup):
            with contextlib.suppress(OSError):
                yield from map(int, Path(folder, "cgroup.procs").read_text().split())


def _remove_cgroup(cgroup: Path) -> None:
    for folder, _, _ in os.walk(cgroup, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    # All machines share the parent. It can be removed after the last of them.
    with contextlib.suppress(OSError):
        cgroup.parent.rmdir()


def wait_until(condition: Callable[[], bool], event: str, seconds: float = 10) -> None:
    """Waits until the condition holds. Raises LocalError with ``event`` after the limit."""
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if condition():
            return
        answered = time.monotonic()
        if answered > deadline:
            raise LocalError(
                f"Waited {seconds:.0f} s for {event}, without success",
                "Each step of a machine must complete within its limit",
                "Try again; `python -m components.local list` shows all machines",
            )
        # A condition that takes long, such as one over SSH, would otherwise take a processor from what it waits for.
        time.sleep(min(max(0.02, 2 * (answered - asked)), 0.5))
