"""The stop of a unit whose main process is a shell: its programs finish, and the shell begins no other command."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from host import procfile, shells

# Answers a request when it is told to stop: the mark "finished" is late.
PROGRAM = """
import signal, sys, time
def finish(*_):
    time.sleep(0.4)
    print("finished", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, finish)
open("started", "w").close()
while True:
    time.sleep(0.05)
"""


@contextmanager
def running(folder: Path, command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with the script of a Procfile's command, once its program runs."""
    (folder / "program.py").write_text(PROGRAM)
    script = folder / "web"
    script.write_bytes(procfile.script(command))
    script.chmod(0o755)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([script], stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        _wait_for(folder / "started")
        yield process
    finally:
        # As systemd does in the end. No process may be left, not even a suspended shell.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < deadline, f"{file.name} doesn't appear"
        time.sleep(0.02)


def stop(process: subprocess.Popen[bytes]) -> None:
    """What systemd does: ExecStop, then SIGTERM and SIGCONT to the main process, then SIGKILL to the others."""
    shells.stop_programs(process.pid)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    process.wait(5)


@pytest.mark.parametrize(
    "command",
    [
        "python3 program.py; echo 'next command'",
        "python3 program.py & wait; echo 'next command'",
        "while true; do python3 program.py; echo 'next command'; done",
        "sh -c 'python3 program.py; true'; echo 'next command'",
        "(python3 program.py; true) | cat",
        "python3 program.py 2>&1 | tee copy",
        "./start.sh; echo 'next command'",
    ],
)
def test_a_program_below_a_shell_finishes_and_the_shell_begins_no_other_command(tmp_path: Path, command: str):
    (tmp_path / "start.sh").write_text("#!/bin/sh\nset -e\npython3 program.py\n")
    (tmp_path / "start.sh").chmod(0o755)
    with running(tmp_path, command) as process:
        stop(process)
    assert (tmp_path / "log").read_text() == "finished\n"


def test_the_trap_of_a_script_runs_after_its_program_has_finished(tmp_path: Path):
    command = "trap 'echo cleaned; exit' TERM; python3 program.py & wait"
    with running(tmp_path, command) as process:
        stop(process)
    assert (tmp_path / "log").read_text() == "finished\ncleaned\n"


@pytest.mark.parametrize("command", ["python3 program.py", "true && LEVEL=1 exec python3 program.py"])
def test_a_shell_is_replaced_by_the_last_command_so_that_systemds_signal_reaches_it(tmp_path: Path, command: str):
    with running(tmp_path, command) as process:
        assert Path(f"/proc/{process.pid}/exe").readlink().name.startswith("python")
        shells.stop_programs(process.pid)
        process.terminate()
        process.wait(5)
    assert (tmp_path / "log").read_text() == "finished\n"
