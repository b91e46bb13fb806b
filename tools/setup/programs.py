"""Runs other programs. Their output goes to a log, and long ones report their progress."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.setup.paths import LOGS
from tools.setup.report import SetupError, elapsed, say

PROGRESS_SECONDS = 10.0


def find_program(name: str, path: str | None, other_folders: Sequence[str] = ()) -> str | None:
    """The path of the program: from `path` (as in PATH), else from one of the other folders."""
    return shutil.which(name, path=path) or shutil.which(name, path=":".join(other_folders))


def first_line_of(command: list[str]) -> str:
    """The first line that the program prints, or an empty text if the program fails."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.partition("\n")[0].strip() if result.returncode == 0 else ""


def run_logged(
    activity: str,
    command: list[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    remedy: str = "",
    time_limit: float | None = None,
) -> None:
    """Runs the command with its output in a log file that is named after the activity.

    A failure raises a SetupError with the last lines of the log, and with `remedy`: how to fix it. `time_limit` is in
    seconds.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{activity.replace(' ', '-')}.log"
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        except OSError as error:
            raise SetupError(f"{activity} failed: {error}\n{remedy}".rstrip()) from error
        try:
            status = _wait(process, activity, time_limit)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if status != 0:
        tail = "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-15:])
        raise SetupError(f"{activity} failed (the whole log is {log}):\n{tail}\n{remedy}".rstrip())


def _wait(process: subprocess.Popen[bytes], activity: str, time_limit: float | None) -> int:
    start = time.monotonic()
    interval = PROGRESS_SECONDS if time_limit is None else min(PROGRESS_SECONDS, time_limit)
    while True:
        try:
            return process.wait(interval)
        except subprocess.TimeoutExpired:
            passed = time.monotonic() - start
            if time_limit is not None and passed >= time_limit:
                raise SetupError(f"{activity} took longer than {time_limit:.0f} s") from None
            say(f"{activity}: {elapsed(passed)}")
