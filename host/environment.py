"""Virtual environments, keyed by what goes into them, so that an unchanged set costs nothing."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from host import files, requirements
from host.errors import ReleaseError
from host.paths import Paths
from host.requirements import LIST, LOCK, Read

# Building a package runs its code: this user owns the environments and nothing else.
BUILD_USER = "gantry-build"
TIMEOUT_SECONDS = 600
# Of uv's words: the first lines name the package, the last ones the cause; between them may be a hundred hashes.
FIRST_LINES, LAST_LINES, COLUMNS = 5, 8, 300
# Another file of requirements or constraints, named by a path; one at an address is taken as it is.
_NAMED_FILE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[ =]*(?!\w+://)([^\s#]+)")
# A package of the app's own, by its path, or a folder of packages.
_OWN_PACKAGE = re.compile(
    r"^\s*(?:(?:-e|--editable|-f|--find-links)[ =]*+(?![\w+]+://)|\.|/|[\w./-]+(?:/|\.whl|\.zip|\.tar\.gz)(?!/))"
    r"|^[^#]*\bfile:|^\s*[\w.\[\],-]+\s*@\s*+(?![\w+]+://)\S"
)
LOSSLESS_GUNICORN = (27, 0, 1)
# Of [project], what bears on the packages: a new version or description of the app doesn't.
_PROJECT_KEYS = ("name", "requires-python", "dependencies")
_PASSWORD = re.compile(r"//[^/@\s]+@")
# Written last: an environment without it was interrupted and is built again.
MARK = ".complete"


def environment(paths: Paths, release: Path) -> tuple[Path, str]:
    """The virtual environment for the release in folder ``release``, and what was done to have it."""
    read = reader(release)
    source = requirements.choose(read)
    requirements.check_python(read, sys.version_info[:3])
    folder = _folder(paths, release, read)
    # Pruning must know what a release uses also when Python, and with it the key, has changed since.
    paths.venv_links.mkdir(parents=True, exist_ok=True)
    files.point(paths.venv_links / release.name, folder)
    if (folder / MARK).exists():
        return folder, "unchanged"
    # uv outlives a run that was killed, and would go on writing into what is removed and built again here.
    end_processes_of(pwd.getpwnam(BUILD_USER).pw_uid)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        warning = _build(paths, release, source, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    files.sync(folder)
    (folder / MARK).touch()
    return folder, f"installed from {source}{warning}"


def is_built(paths: Paths, release: Path, read: Read | None = None) -> bool:
    """Whether what the release needs is installed; ``read`` gives its files where its folder isn't there yet."""
    return (_folder(paths, release, read or reader(release)) / MARK).exists()


def _folder(paths: Paths, release: Path, read: Read) -> Path:
    return paths.venvs / key(release, read, paths.gunicorn.read_bytes())


def key(release: Path, read: Read, gunicorn: bytes) -> str:
    """Name of the environment: 12 hex digits over what is installed, our Gunicorn and the Python version."""
    digest = hashlib.sha256()
    for part in (*_installed(release, read), gunicorn, _python().encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]


def _python() -> str:
    """What packages are compiled for: an environment is whole also after an update of the system's Python."""
    return f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"


def reader(release: Path) -> Read:
    """The files of an unpacked release."""
    return lambda name: (release / name).read_bytes() if (release / name).is_file() else None


def _installed(release: Path, read: Read) -> list[bytes]:
    """All that decides what is installed: the chosen file and, of the others, what uv obeys besides."""
    source = requirements.choose(read)
    parts = [part for part in (read("uv.toml"),) if part is not None]
    if settings := requirements.table(read, "tool", "uv"):
        parts.append(json.dumps(settings, sort_keys=True, default=str).encode())
    if requirements.installs_own_code(read):
        parts.append(str(release).encode())
    if source == LIST:
        return [*parts, *_listed(release, read, LIST, {})]
    project = requirements.project(read)
    chosen = {name: project[name] for name in _PROJECT_KEYS if name in project}
    return [*parts, source.encode(), json.dumps(chosen, sort_keys=True, default=str).encode(), read(LOCK) or b""]


def _listed(release: Path, read: Read, name: str, seen: dict[str, list[bytes]]) -> list[bytes]:
    """What is in the file and in those that it names, each once; where one has a package of the app's, the release."""
    content = read(name)
    if content is None:
        raise ReleaseError(f"the requirements name {name}, which isn't there: add it to the app, or take the line out")
    seen[name] = [content]
    for line in content.decode(errors="replace").splitlines():
        named = _NAMED_FILE.match(line)
        if named and (other := posixpath.normpath(posixpath.join(posixpath.dirname(name), named[1]))) not in seen:
            _listed(release, read, other, seen)
        elif not named and _OWN_PACKAGE.match(line):
            seen[name].append(str(release).encode())
    return [part for parts in seen.values() for part in parts]


def _build(paths: Paths, release: Path, source: str, folder: Path) -> str:
    """Install everything; returns a warning, or nothing."""
    # The folder is made for the build user, who may not write beside it.
    folder.mkdir(parents=True)
    shutil.chown(folder, BUILD_USER, BUILD_USER)
    python, uv = str(folder / "bin/python"), str(paths.uv)
    pip, into = [uv, "pip", "--quiet"], ["--compile-bytecode", "--python", python]
    _run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)], release)
    if source == LOCK:
        # Exported, so that the server's own index is asked for the locked files, not the one that the lock names.
        locked = str(folder / "locked.txt")
        export = [uv, "export", "--quiet", "--frozen", "--no-dev", "--no-default-groups", "--no-emit-project"]
        _run([*export, "--no-editable", "--no-header", "--python", python, "--output-file", locked], release)
        _run([*pip, "sync", "--allow-empty-requirements", *into, locked], release)
    else:
        # By itself uv checks just the hashes that are given; one that is missing is as bad as a wrong one.
        hashed = source == LIST and any(b"--hash=" in part for part in _listed(release, reader(release), LIST, {}))
        enforce = ["--require-hashes"] if hashed else []
        _run([*pip, "install", *into, *enforce, "--requirement", source], release)
    if (folder / "bin/gunicorn").exists():
        return _warning_of(folder)
    ours = [*pip, "install", *into, "--require-hashes", "--requirement", str(paths.gunicorn)]
    try:
        # uv's cache has had it since the first boot; the registry may be out of reach by now.
        _run([*ours, "--offline"], release)
    except ReleaseError:
        _run(ours, release)
    return ""


def end_processes_of(user: int) -> None:
    """Kill all processes of a user, and wait until they are gone."""
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


def _warning_of(folder: Path) -> str:
    """What is to be said of the Gunicorn that the app has chosen."""
    found = next(folder.glob("lib/python3*/site-packages/gunicorn-*.dist-info"), None)
    version = found.name.removeprefix("gunicorn-").removesuffix(".dist-info") if found else ""
    if tuple(int(part) for part in re.findall(r"\d+", version)[:3]) >= LOSSLESS_GUNICORN:
        return ""
    wanted = ".".join(map(str, LOSSLESS_GUNICORN))
    return f"; the app's gunicorn {version} may cut requests off at a release, {wanted} and newer don't"


def _run(command: list[str], release: Path) -> None:
    environment = {**os.environ, "HOME": "/var/cache/gantry", "UV_CACHE_DIR": "/var/cache/gantry/uv"}
    # The certificates that the server trusts, which may include those of its owner's registry.
    environment.update(UV_PYTHON_DOWNLOADS="never", UV_SYSTEM_CERTS="true", NO_COLOR="1")
    try:
        done = subprocess.run(
            command,
            user=BUILD_USER, group=BUILD_USER, extra_groups=[], umask=0o022, cwd=release,
            env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ReleaseError(f"installing the requirements took over {TIMEOUT_SECONDS} s: {' '.join(command)}") from None
    if done.returncode != 0:
        raise ReleaseError(f"the requirements can't be installed:\n{shortened(done.stderr or done.stdout)}")


def shortened(said: str) -> str:
    """uv's words without passwords of indexes, and without the middle where they are many."""
    lines = [_PASSWORD.sub("//***@", line.rstrip())[:COLUMNS] for line in said.strip().splitlines() if line.strip()]
    if len(lines) > FIRST_LINES + LAST_LINES:
        lines[FIRST_LINES:-LAST_LINES] = ["  ..."]
    return "\n".join(lines)
