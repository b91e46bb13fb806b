"""Tries from inside of a unit what its sandbox forbids, and what an app needs. Runs on servers, without packages."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

Action = Callable[[], object]
LIBC = ctypes.CDLL(None, use_errno=True)
# Nginx answers there in the test, so that only a restriction makes a connection fail.
METADATA = ("169.254.169.254", "fd00:ec2::254")
OUTSIDE = "gantry-outside"
FOLDERS = (
    *("/", "/etc", "/usr/local", "/opt", "/opt/gantry", "/opt/gantry/incoming", "/opt/gantry/releases"),
    *("/opt/gantry/venvs", "/opt/gantry/venvs/*", "/opt/gantry/venvs-complete", "/opt/gantry/venv/bin"),
    *("/opt/gantry/builds", "/opt/gantry/builds/*/app", "/opt/gantry/instances", "/opt/gantry/assets"),
    *("/run", "/run/gantry", "/run/lock", "/var/lib/app", "/var/lib/gantry", "/var/cache/gantry", "/var/spool"),
    *("/var/cache/gantry/uv", "/var/cache/gantry/uv/*", "/var/log", "/var/log/nginx", "/dev", "/home", "/root", "/srv"),
)


def results() -> dict[str, Any]:
    """What was possible: ``writable`` folders, ``forbidden`` actions, and errors of ``needed`` ones."""
    return {
        "writable": sorted(name for name in expanded([*FOLDERS, "."]) if succeeds(partial(write_to, name))),
        "forbidden": sorted(name for name, action in FORBIDDEN.items() if succeeds(action)),
        "needed": {name: error for name, action in NEEDED.items() if (error := error_of(action))},
    }


def expanded(patterns: list[str]) -> Iterator[str]:
    for pattern in patterns:
        yield from map(str, Path("/").glob(pattern[1:])) if "*" in pattern else (pattern,)


def error_of(action: Action) -> str:
    try:
        result = action()
    except BaseException as error:
        return repr(error)
    return "false" if result is False else ""


def succeeds(action: Action) -> bool:
    return not error_of(action)


def write_to(folder: str) -> None:
    path = Path(folder, "gantry-probe")
    path.touch()
    path.unlink()


def call(name: str, *arguments: object) -> None:
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def connect(address: str) -> None:
    socket.create_connection((address, 80), timeout=3).close()


def make_setuid() -> None:
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:
        Path(file.name).chmod(0o4755)


def make_device() -> None:
    os.mknod(Path(tempfile.mkdtemp(), "disk"), stat.S_IFBLK | 0o600, os.makedev(8, 0))


def opens(path: str, mode: str = "rb") -> Action:
    return lambda: Path(path).open(mode).close()


def exists(path: str) -> Action:
    return Path(path).exists


FORBIDDEN: dict[str, Action] = {
    **{f"the metadata at {address}": partial(connect, address) for address in METADATA},
    **{f"a file of others in {folder}": exists(f"{folder}/{OUTSIDE}") for folder in ("/tmp", "/var/tmp", "/dev/shm")},
    "a list of others' processes": exists("/proc/1"),
    "a signal to another user": lambda: os.kill(1, 0),
    "the user root": lambda: os.setuid(0),
    "a file that runs as its owner": make_setuid,
    "a device": make_device,
    "a disk": opens("/dev/sda"),
    "a user namespace": lambda: call("unshare", 0x10000000),
    "a mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "a debugger": lambda: call("ptrace", 16, os.getppid(), None, None),
    "another personality": lambda: call("personality", 0x0008),
    "raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "real-time priority": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "the host name": lambda: socket.sethostname("probe"),
    "the kernel's log": opens("/dev/kmsg"),
    "the kernel's settings": opens("/proc/sys/kernel/domainname", "w"),
    "control groups": lambda: Path("/sys/fs/cgroup/probe").mkdir(),
    "variables of others": lambda: [*Path("/etc/gantry/environment").iterdir()],
    "passwords": opens("/etc/shadow"),
    "the host key": opens("/etc/ssh/ssh_host_ed25519_key"),
    "the files of the deploy user": lambda: [*Path("/home/deploy").iterdir()],
}
NEEDED: dict[str, Action] = {
    "a lock of multiprocessing": lambda: multiprocessing.get_context("fork").Lock().acquire(),
    "temporary files": lambda: [write_to(folder) for folder in ("/tmp", "/var/tmp", "/dev/shm")],
    "another program": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
    "a thread": lambda: threading.Thread(target=len, args=[""]).start(),
    "a connection": lambda: connect("127.0.0.1"),
    "its own processes": exists("/proc/self/stat"),
}


def leave_a_process() -> None:
    """Leave a process that has left its session, its parent and its output."""
    command = [sys.executable, "-c", "import time; time.sleep(1000)  # left behind"]
    subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
