"""Faults of local machines for the chaos measurement. They are made from this computer, without a login.

Nothing is repaired, except that a network or a disk is broken only for some seconds.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from components.local import launch, machine
from tests.kills import kill_machine

# The web process that serves.
MASTER = """
unit=gantry-web@$(basename "$(readlink /var/lib/gantry/current)")
master=$(systemctl show --value --property=MainPID "$unit")
test "$master" -gt 0
"""
KILL_WORKER = """
set -- $(pgrep -P "$master")
shift $(({number} % $#))
kill -KILL "$1"
"""
KILL_NGINX = 'set -- $(pgrep -x nginx); kill -KILL "$@"'
CUT_NETWORK = """
nft -f - << 'END'
table inet chaos {
    chain in { type filter hook input priority -300; policy drop; iif lo accept; }
    chain out { type filter hook output priority -300; policy drop; oif lo accept; }
}
END
"""
RESTORE_NETWORK = "nft delete table inet chaos"
BALLAST = "/var/chaos-ballast"
VARIABLES = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Machine:
    """A running or dead machine of a stack."""

    name: str
    id: str

    @property
    def runs(self) -> bool:
        return launch.init_process(machine.folder_of(self.id)) is not None

    def run(self, script: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs a script as root in the machine's namespaces. Fails after the timeout, or if the machine doesn't run."""
        init = launch.init_process(machine.folder_of(self.id))
        namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        command = ["nsenter", "--target", str(init), *namespaces, "sh", "-euc", script]
        if init is None:
            return subprocess.CompletedProcess(command, 1, "", f"{self.name} doesn't run")
        try:
            return subprocess.run(
                command, capture_output=True, text=True, timeout=timeout, env=VARIABLES, start_new_session=True
            )
        except subprocess.TimeoutExpired as error:
            return subprocess.CompletedProcess(command, 1, "", str(error))


@dataclass(frozen=True)
class Machines:
    servers: Sequence[Machine]
    balancer: Machine

    @classmethod
    def of(cls, outputs: Mapping[str, Any]) -> Machines:
        """The machines that a stack's outputs name."""
        balancer, *servers = (
            Machine(entry["name"], entry["instance_id"]) for entry in (outputs["balancer"], *outputs["servers"])
        )
        return cls(servers, balancer)

    @property
    def all(self) -> list[Machine]:
        return [*self.servers, self.balancer]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """``strike`` gets the machine and a random number, and returns whether it hit. ``undo`` follows in any case."""

    name: str
    strike: Callable[[Machine, int], bool]
    seconds: float = 0.0
    undo: Callable[[Machine], object] = lambda _: None
    on_balancer: bool = False
    # So many machines of this kind must run. Only `up` starts a machine again.
    running: int = 1


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A fault after a pause of ``pause`` seconds. ``number`` chooses the server and the process."""

    kind: Kind
    pause: float
    number: int


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault that hit. Its times are those of time.monotonic."""

    kind: str
    machine: str
    start: float
    end: float


def _script(text: str) -> Callable[[Machine, int], bool]:
    return lambda machine, number: machine.run(text.replace("{number}", str(number))).returncode == 0


def _kill_machine(machine: Machine, _: int) -> bool:
    kill_machine(machine.id)
    return True


# Faults that systemd repairs.
PROCESSES = (
    Kind(name="a Gunicorn worker is killed", strike=_script(MASTER + KILL_WORKER)),
    Kind(name="the Gunicorn master is killed", strike=_script(f'{MASTER}kill -KILL "$master"')),
    Kind(name="a server's Nginx is killed", strike=_script(KILL_NGINX)),
)
SERVERS_MACHINE = Kind(name="a server's machine is killed", strike=_kill_machine, running=2)
NO_NETWORK = Kind(
    name="a server has no network for 10 s",
    strike=_script(CUT_NETWORK),
    seconds=10,
    undo=lambda machine: machine.run(RESTORE_NETWORK),
)
BALANCERS_NGINX = Kind(name="the balancer's Nginx is killed", strike=_script(KILL_NGINX), on_balancer=True)
BALANCERS_MACHINE = Kind(name="the balancer's machine is killed", strike=_kill_machine, on_balancer=True)
# Only for machines whose disk is their own, as in `disks.limited`.
FULL_DISK = Kind(
    name="a server's disk is full for 10 s",
    strike=_script(f"dd if=/dev/zero of={BALLAST} bs=1M status=none || test -s {BALLAST}"),
    seconds=10,
    undo=lambda machine: machine.run(f"rm -f {BALLAST}"),
)


@contextmanager
def striking(plan: Iterable[Planned], machines: Machines) -> Generator[Future[list[Fault]]]:
    """Makes the planned faults one after the other while the block runs. The result has those that hit.

    If the block ends before they are done, the current fault is undone, and the others don't happen.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        faults = pool.submit(_strike_all, plan, machines, stop)
        try:
            yield faults
        finally:
            stop.set()


def _strike_all(plan: Iterable[Planned], machines: Machines, stop: threading.Event) -> list[Fault]:
    faults: list[Fault] = []
    for planned in plan:
        if stop.wait(planned.pause):
            break
        if fault := _strike(planned, machines, stop):
            faults.append(fault)
    return faults


def _strike(planned: Planned, machines: Machines, stop: threading.Event) -> Fault | None:
    """Makes one fault on a machine that runs; returns None if too few run, or if the fault found nothing to hit."""
    kind, number = planned.kind, planned.number
    running = [machine for machine in ([machines.balancer] if kind.on_balancer else machines.servers) if machine.runs]
    if len(running) < kind.running:
        return None
    victim = running[number % len(running)]
    start = time.monotonic()
    try:
        hit = kind.strike(victim, number // len(running))
        if hit:
            print(f"  {time.strftime('%H:%M:%S')} {victim.name}: {kind.name}", flush=True)
            stop.wait(kind.seconds)
    finally:
        kind.undo(victim)
    return Fault(kind=kind.name, machine=victim.name, start=start, end=time.monotonic()) if hit else None
