"""command:local:Command and command:local:run: a process on this computer."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from .operation import Operation
from .output import Output, Result

_CHUNK = 64 * 1024
# Seconds from SIGTERM to SIGKILL. After the same time again, pipes that other processes hold are given up.
_GRACE = 2.0


@dataclass(frozen=True, kw_only=True)
class LocalCommand:
    command: str
    interpreter: list[str] = field(default_factory=lambda: ["/bin/sh", "-c"])
    dir: str | None = None
    environment: dict[str, str] = field(default_factory=dict[str, str])
    stdin: str = ""
    logging: str | None = None


def run_locally(operation: Operation, spec: LocalCommand) -> Result:
    """Runs the command and returns its output. If it fails or is cancelled, the CommandError contains the output."""
    output = Output(spec.logging, operation.log.line)
    operation.raise_if_cancelled()
    try:
        process = subprocess.Popen(
            [*spec.interpreter, spec.command],
            cwd=spec.dir,
            env={**os.environ, **spec.environment},
            stdin=subprocess.PIPE if spec.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except (OSError, ValueError) as error:
        raise output.failure(str(error), spec.command) from None
    with operation.stopping(lambda: _stop_tree(process)):
        readers = [_start(_read, process.stdout, output.stdout), _start(_read, process.stderr, output.stderr)]
        if process.stdin is not None:
            _start(_write, process.stdin, spec.stdin.encode())
        _join(operation, readers)
        status = process.wait()
    output.end()
    if operation.cancelled:
        raise output.failure(operation.reason, spec.command)
    if status != 0:
        raise output.failure(_status_text(status), spec.command)
    return output.result()


def _start(target: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def _read(stream: IO[bytes], take: Callable[[bytes], None]) -> None:
    with stream:
        while data := os.read(stream.fileno(), _CHUNK):
            take(data)


def _write(stream: IO[bytes], data: bytes) -> None:
    try:
        with stream:
            stream.write(data)
    except BrokenPipeError:
        pass  # The command didn't read all of its input.


def _join(operation: Operation, readers: list[threading.Thread]) -> None:
    """Waits for the end of both streams, even if a background child keeps them open. The official plugin does that."""
    deadline = 0.0
    while any(reader.is_alive() for reader in readers):
        for reader in readers:
            reader.join(0.2)
        if operation.cancelled:
            deadline = deadline or time.monotonic() + 2 * _GRACE
            if time.monotonic() > deadline:
                return


def _stop_tree(process: subprocess.Popen[bytes]) -> None:
    """Sends SIGTERM to the command and its descendants, and later SIGKILL.

    They stay in the plugin's process group, so that the engine's end also stops them. That rules out killpg.
    """
    pids = [process.pid, *_descendants(process.pid)] if process.poll() is None else []
    _signal(pids, signal.SIGTERM)

    def kill_later() -> None:
        deadline = time.monotonic() + _GRACE
        while time.monotonic() < deadline and any(_alive(pid) for pid in pids):
            time.sleep(0.05)
        _signal(pids, signal.SIGKILL)

    _start(kill_later)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _descendants(pid: int) -> list[int]:
    """The children of a process and their descendants. Without /proc the list is empty."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The second field is a name in parentheses, which can contain any character.
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    descendants: list[int] = []
    waiting = [pid]
    while waiting:
        next_level = children.get(waiting.pop(), [])
        descendants += next_level
        waiting += next_level
    return descendants


def _status_text(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    return f"signal: {(signal.strsignal(-status) or str(-status)).lower()}"
