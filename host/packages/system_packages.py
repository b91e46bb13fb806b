"""Installs the Debian packages that an app needs: those of the setting aptPackages and of its Aptfile, and git.

Packages stay installed when the lists shrink: a release that is kept for a rollback may need them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host import files
from host.console import Phases, phase, say
from host.errors import ReleaseError
from host.packages import aptfile, requirements
from host.packages.package_install import reader
from host.packages.requirement_list import read_list
from host.packages.requirements import LIST, LOCK, PDM_LOCK, PIPFILE_LOCK, POETRY_LOCK, PYLOCK, WORKSPACE_LOCK, Read
from host.paths import Paths

# How long apt may wait for another apt, and how long one command of it may take.
LOCK_SECONDS, TIMEOUT_SECONDS = 120, 900
# Nothing that a package brings is started, and nothing that runs is restarted:
# https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
POLICY = b"#!/bin/sh\n# Gantry installs packages without starting their services.\nexit 101\n"
# How the locks name a package of a git repository.
_GIT_IN_LOCK = {
    LOCK: rb"\bgit = \"",
    WORKSPACE_LOCK: rb"\bgit = \"",
    POETRY_LOCK: rb'^type = "git"',
    PDM_LOCK: rb"^git = ",
    PIPFILE_LOCK: rb'"git":',
    PYLOCK: rb"\bvcs\b",
}
# Names that Debian has given up. Apps for older systems have them in their lists.
_RENAMED = {
    "libgl1-mesa-glx": "libgl1",
    "libmysqlclient-dev": "default-libmysqlclient-dev",
    "mysql-client": "default-mysql-client",
    "python-dev": "python3-dev",
    "chromium-browser": "chromium",
    "libtiff5": "libtiff6",
    "libwebp6": "libwebp7",
    "libffi7": "libffi8",
    "libpng12-dev": "libpng-dev",
    "libfreetype6-dev": "libfreetype-dev",
    "netcat": "netcat-openbsd",
}

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Record:
    """The names that were installed on this server, and those of the last list."""

    installed: frozenset[str] = frozenset()
    listed: frozenset[str] = frozenset()


def ensure(paths: Paths, release: Path, seconds: Phases | None = None, run: Run | None = None) -> None:
    """Install the packages that the release in folder ``release`` needs and that this server hasn't installed yet.

    Raises ReleaseError with apt's reason. It prints nothing if the app needs no packages, and asks no archive if all
    are installed. The duration is stored in ``seconds``.
    """
    _remove_policy(paths)
    record = _read(paths)
    listed = required_packages(paths, release)
    missing = [name for name in listed if name not in record.installed]
    unlisted = sorted(record.listed - set(listed))
    if not listed and not unlisted:
        return
    with phase("packages", seconds) as notes:
        if missing:
            say(f"  apt installs {', '.join(missing)}")
            _install(paths, missing, run or _run)
        notes.append(f"installed {', '.join(missing)}" if missing else "unchanged")
        if unlisted:
            notes.append(f"no longer listed, but still installed: {', '.join(unlisted)}")
        _write(paths, Record(record.installed | set(listed), frozenset(listed)))


def provide(paths: Paths, program: str, package: str) -> None:
    """Install a package that this program itself needs, if the server lacks ``program``. Raises ReleaseError."""
    if shutil.which(program) is None:
        say(f"  apt installs {package}")
        _install(paths, [package], _run)


def required_packages(paths: Paths, release: Path) -> list[str]:
    """The packages that a release needs, each once: from the setting and its Aptfile, and git if a package needs it."""
    read = reader(release)
    setting = paths.apt_packages.read_text().split() if paths.apt_packages.exists() else []
    git = ["git"] if needs_git(read) and shutil.which("git") is None else []
    return list(dict.fromkeys([*setting, *aptfile.packages(read(aptfile.NAME) or b""), *git]))


def needs_git(read: Read) -> bool:
    """Whether a package of the app comes from a git repository."""
    source = requirements.choose(read)
    if source == LIST:
        return any("git+" in line for lines in read_list(read).lines.values() for line in lines)
    content = read(source) or b""
    pattern = _GIT_IN_LOCK.get(source)
    return re.search(pattern, content, re.MULTILINE) is not None if pattern else b"git+" in content


def _install(paths: Paths, names: list[str], run: Run) -> None:
    install = ["apt-get", "-qq", f"-oDPkg::Lock::Timeout={LOCK_SECONDS}", "-oDpkg::Options::=--force-confold"]
    install += ["install", "--no-install-recommends", "--no-remove", "--yes", *names]
    with without_services(paths):
        result = run(install)
        if "dpkg --configure -a" in result.stderr:
            # Another apt was killed. Its packages have to be finished first.
            run(["dpkg", "--force-confold", "--configure", "-a"])
            result = run(install)
        if result.returncode != 0:
            # The lists of the archive may be old, or missing.
            _update(run)
            result = run(install)
    if result.returncode != 0:
        raise ReleaseError(_reason(names, result.stderr or result.stdout))


def _update(run: Run) -> None:
    """Fetch the lists of the archive. This lock of apt knows no time limit, so it is tried again here."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        result = run(["apt-get", "-qq", "update"])
        if "Could not get lock" not in result.stderr or time.monotonic() >= deadline:
            return
        time.sleep(1)


def _reason(names: list[str], output: str) -> str:
    unknown = re.findall(r"Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate", output)
    if not unknown:
        lines = [line for line in output.strip().splitlines() if line.strip()][-12:]
        return "\n".join((f"apt can't install {', '.join(names)}:", *lines))
    sentences: list[str] = []
    for name in sorted({first or second for first, second in unknown}):
        search = f"search for the right name on the server with: apt-cache search {name}"
        remedy = f"write {_RENAMED[name]}" if name in _RENAMED else search
        sentences.append(f"Debian has no package {name!r}, which aptPackages or {aptfile.NAME} names: {remedy}")
    return "\n".join(sentences)


@contextmanager
def without_services(paths: Paths) -> Generator[None]:
    """No package starts or restarts a service during the block. The server's own policy stays."""
    if not paths.service_policy.exists():
        files.write(paths.service_policy, POLICY, 0o755)
    try:
        yield
    finally:
        _remove_policy(paths)


def _remove_policy(paths: Paths) -> None:
    """Remove the policy, which a run that was killed may have left, too. Another program's has other content."""
    if paths.service_policy.exists() and paths.service_policy.read_bytes() == POLICY:
        paths.service_policy.unlink()


def variables() -> dict[str, str]:
    """The variables with which apt asks nobody, and with which needrestart doesn't run after each of its steps."""
    return {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "NEEDRESTART_SUSPEND": "1"}


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=variables(), timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ReleaseError(
            f"{' '.join(command)} took more than {TIMEOUT_SECONDS} s: check that the server reaches its package archive"
        ) from None


def _read(paths: Paths) -> Record:
    if not paths.apt_record.exists():
        return Record()
    document = json.loads(paths.apt_record.read_text())
    return Record(frozenset(document["installed"]), frozenset(document["listed"]))


def _write(paths: Paths, record: Record) -> None:
    document = {"installed": sorted(record.installed), "listed": sorted(record.listed)}
    files.write(paths.apt_record, json.dumps(document).encode(), 0o644)
