"""Runs uv as the user that builds packages, and shortens its errors."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from host.errors import ReleaseError
from host.packages import isolation, missing_packages, uv_advice
from host.paths import Paths

TIMEOUT_SECONDS = 600
# The first lines of an error of uv name the package, and the last ones the cause. Between them may be a hundred hashes.
FIRST_LINES, LAST_LINES, COLUMNS = 5, 9, 300
# Causes and hints are wrapped instead of cut: Pulumi waits forever for the end of a line of 64 KiB.
WRAPPED_COLUMNS = 1000
# Lines that are never cut out: the cause, and what to do.
_KEPT_LINE = re.compile(r"^\s*(hint|cause|error|note|╰─▶|├─▶|Caused by)|^\S*Error\b", re.IGNORECASE)
_HINT = re.compile(r"^\s*hint\b", re.IGNORECASE)
_PASSWORD = re.compile(r"//[^/@\s]+@")


def run(
    command: Sequence[str],
    folder: Path,
    variables: Mapping[str, str] | None = None,
    *,
    writable: Path,
    private_cache: Path | None = None,
) -> str:
    """Run a command in ``folder``, isolated, with more ``variables``; returns its output. It may write to ``writable``.

    A command that may run the code of packages needs a ``private_cache`` below ``writable``. Without one it may also
    write to uv's cache. Raises ReleaseError with uv's error.
    """
    paths = Paths()
    # /var/tmp is the unit's own. Compilers keep files at home.
    home = "/var/tmp" if private_cache else str(paths.build_home)
    env = {"HOME": home, "UV_CACHE_DIR": str(private_cache or paths.uv_cache)}
    # UV_SYSTEM_CERTS: trust the server's certificates, which may include that of the owner's package registry.
    env.update(UV_PYTHON_DOWNLOADS="never", UV_SYSTEM_CERTS="true", NO_COLOR="1")
    if private_cache:
        env["UV_LINK_MODE"] = "copy"
    env.update(variables or {})
    try:
        result = isolation.run(
            command,
            folder=folder,
            variables=env,
            writable=[writable] if private_cache else [writable, paths.uv_cache],
            may_link=private_cache is None,
            seconds=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ReleaseError(
            f"installing the requirements took more than {TIMEOUT_SECONDS} s, which is the limit: check that the server"
            f" can reach the package registry, then run the command again ({' '.join(command)})"
        ) from None
    if result.returncode != 0:
        output = result.stderr or result.stdout or "it was killed: the server may have too little memory for it"
        raise ReleaseError(
            f"the requirements can't be installed:\n{shortened(output)}",
            missing_packages.of_build(output) or uv_advice.of_output(output),
        )
    return result.stdout


def shortened(output: str) -> str:
    """uv's output without the passwords of indexes.

    Of a long output, the first and the last lines stay, and between them the causes and the complete hints.
    """
    kept = _marked(_PASSWORD.sub("//***@", output).strip().splitlines())
    if len(kept) > FIRST_LINES + LAST_LINES:
        middle = kept[FIRST_LINES:-LAST_LINES]
        kept[FIRST_LINES:-LAST_LINES] = [("  ...", False), *((line, True) for line, is_kept in middle if is_kept)]
    return "\n".join(part for line, is_kept in kept for part in _parts(line, is_complete=is_kept))


def _marked(lines: list[str]) -> list[tuple[str, bool]]:
    """The lines that aren't blank. With each, whether it is a cause, or belongs to a hint.

    A hint ends at a blank line, or at a line that is indented less.
    """
    marked: list[tuple[str, bool]] = []
    indent: int | None = None
    for line in map(str.rstrip, lines):
        own = len(line) - len(line.lstrip())
        if _HINT.match(line):
            indent = own
        elif not line or _KEPT_LINE.match(line) or (indent is not None and own < indent):
            indent = None
        if line:
            marked.append((line, indent is not None or _KEPT_LINE.match(line) is not None))
    return marked


def _parts(line: str, *, is_complete: bool) -> list[str]:
    if not is_complete:
        return [line if len(line) <= COLUMNS else f"{line[:COLUMNS]} …"]
    return [line[start : start + WRAPPED_COLUMNS] for start in range(0, len(line), WRAPPED_COLUMNS)]


def end_processes_of(user: int) -> None:
    """Kill all processes of a user, given by its id, and wait until they have ended."""
    while running := [process for process in Path("/proc").glob("[0-9]*") if _belongs(process, user)]:
        for process in running:
            with suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)
        time.sleep(0.05)


def _belongs(process: Path, user: int) -> bool:
    try:
        return process.stat().st_uid == user
    except FileNotFoundError:
        return False
