"""Running other programs: quietly into a log, with a sign of life while they take long."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from tools.setup.paths import LOGS
from tools.setup.report import SetupError, elapsed, say

SIGN_OF_LIFE_SECONDS = 10.0


def first_line_of(command: list[str]) -> str:
    """What the program prints first, or nothing where it can't be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.partition("\n")[0].strip() if done.returncode == 0 else ""


def run_logged(
    what: str,
    command: list[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    remedy: str = "",
    time_limit: float | None = None,
) -> None:
    """Runs `command` with its output in a log; a failure shows the end of that log."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{what.replace(' ', '-')}.log"
    with log.open("wb") as output:
        try:
            child = subprocess.Popen(
                command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        except OSError as error:
            raise SetupError(f"{what} failed: {error}\n{remedy}".rstrip()) from error
        try:
            code = _wait(child, what, time_limit)
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if code != 0:
        last = "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-15:])
        raise SetupError(f"{what} failed (the whole log is {log}):\n{last}\n{remedy}".rstrip())


def _wait(child: subprocess.Popen[bytes], what: str, time_limit: float | None) -> int:
    start = time.monotonic()
    patience = SIGN_OF_LIFE_SECONDS if time_limit is None else min(SIGN_OF_LIFE_SECONDS, time_limit)
    while True:
        try:
            return child.wait(patience)
        except subprocess.TimeoutExpired:
            passed = time.monotonic() - start
            if time_limit is not None and passed >= time_limit:
                raise SetupError(f"{what} took longer than {time_limit:.0f} s") from None
            say(f"{what}: {elapsed(passed)}")


def find(name: str, path: str | None, also: tuple[str, ...] = ()) -> str | None:
    """The program on `path`, or in a folder where it usually lies when sudo has narrowed the path."""
    return shutil.which(name, path=path) or shutil.which(name, path=":".join(also))
