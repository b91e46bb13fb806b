"""Virtual environments, named by a digest of their contents, so that an unchanged set of packages costs nothing."""

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

# The build of a package runs its code. This user owns the virtual environments and nothing else.
BUILD_USER = "gantry-build"
TIMEOUT_SECONDS = 600
# The first lines of an error of uv name the package, and the last ones the cause. Between them may be a hundred hashes.
FIRST_LINES, LAST_LINES, COLUMNS = 5, 8, 300
# A line that names another file of requirements or constraints by its path. A file at a URL isn't followed.
_NAMED_FILE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[ =]*(?!\w+://)([^\s#]+)")
# A line that names a package of the app by its path, or a folder of packages.
_OWN_PACKAGE = re.compile(
    r"^\s*(?:(?:-e|--editable|-f|--find-links)[ =]*+(?![\w+]+://)|\.|/|[\w./-]+(?:/|\.whl|\.zip|\.tar\.gz)(?!/))"
    r"|^[^#]*\bfile:|^\s*[\w.\[\],-]+\s*@\s*+(?![\w+]+://)\S"
)
# From this version on, Gunicorn loses no request when it is stopped.
LOSSLESS_GUNICORN = (27, 0, 1)
# The keys of [project] that influence the packages. The app's version or description doesn't.
_PROJECT_KEYS = ("name", "requires-python", "dependencies")
_PASSWORD = re.compile(r"//[^/@\s]+@")
# This file is written last. A virtual environment without it was interrupted and is built again.
MARK = ".complete"


def ensure(paths: Paths, release: Path) -> tuple[Path, str]:
    """Build the virtual environment of the release in folder ``release`` if it doesn't exist.

    Returns the virtual environment's folder, and a note for the output. Raises ReleaseError with uv's error.
    """
    read = reader(release)
    source = requirements.choose(read)
    requirements.check_python(read, sys.version_info[:3])
    folder = _folder(paths, release, read)
    # ``prune`` needs the link: the name of the folder changes with the server's Python.
    paths.venv_links.mkdir(parents=True, exist_ok=True)
    files.point(paths.venv_links / release.name, folder)
    if (folder / MARK).exists():
        return folder, "unchanged"
    # uv survives a run that was killed, and would still write into the folder that is removed and built again here.
    end_processes_of(pwd.getpwnam(BUILD_USER).pw_uid)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        warning = _build(paths, release, source=source, folder=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    files.sync(folder)
    (folder / MARK).touch()
    return folder, f"installed from {source}{warning}"


def is_built(paths: Paths, release: Path, read: Read | None = None) -> bool:
    """Whether the release's packages are installed. ``read`` returns its files if it isn't unpacked yet."""
    return (_folder(paths, release, read or reader(release)) / MARK).exists()


def _folder(paths: Paths, release: Path, read: Read) -> Path:
    return paths.venvs / key(release, read, paths.gunicorn_requirements.read_bytes())


def key(release: Path, read: Read, gunicorn: bytes) -> str:
    """The virtual environment's name: 12 hex digits of a digest of the packages, Gunicorn and the Python version."""
    digest = hashlib.sha256()
    for part in (*_inputs(release, read), gunicorn, _python().encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]


def _python() -> str:
    """The version that packages are compiled for. It stays the same when an update changes the last digit."""
    return f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"


def reader(release: Path) -> Read:
    """A function that reads the files of an unpacked release."""
    return lambda name: (release / name).read_bytes() if (release / name).is_file() else None


def _inputs(release: Path, read: Read) -> list[bytes]:
    """Everything that decides which packages are installed: the list of packages, and uv's settings."""
    source = requirements.choose(read)
    parts = [part for part in (read("uv.toml"),) if part is not None]
    if settings := requirements.table(read, "tool", "uv"):
        parts.append(json.dumps(settings, sort_keys=True, default=str).encode())
    if requirements.installs_own_code(read):
        parts.append(str(release).encode())
    if source == LIST:
        return [*parts, *_listed(release, read)]
    project = requirements.project(read)
    relevant = {name: project[name] for name in _PROJECT_KEYS if name in project}
    return [*parts, source.encode(), json.dumps(relevant, sort_keys=True, default=str).encode(), read(LOCK) or b""]


def _listed(
    release: Path, read: Read, *, name: str = LIST, contents: dict[str, list[bytes]] | None = None
) -> list[bytes]:
    """The contents of a requirements file and of the files that it names, each once.

    A file that names a package of the app adds the release: then no other release can share the virtual environment.
    ``contents`` collects the contents by file name.
    """
    contents = {} if contents is None else contents
    content = read(name)
    if content is None:
        raise ReleaseError(f"the requirements name {name}, which doesn't exist: add it to the app, or remove the line")
    contents[name] = [content]
    for line in content.decode(errors="replace").splitlines():
        file = _NAMED_FILE.match(line)
        if file and (other := posixpath.normpath(posixpath.join(posixpath.dirname(name), file[1]))) not in contents:
            _listed(release, read, name=other, contents=contents)
        elif not file and _OWN_PACKAGE.match(line):
            contents[name].append(str(release).encode())
    return [part for parts in contents.values() for part in parts]


def _build(paths: Paths, release: Path, *, source: str, folder: Path) -> str:
    """Create the virtual environment and install the packages; returns a warning or an empty text."""
    # The build user may write to this folder and not beside it.
    folder.mkdir(parents=True)
    shutil.chown(folder, BUILD_USER, BUILD_USER)
    _run([str(paths.uv), "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)], release)
    if source == LOCK:
        _install_lock(paths, release, folder)
    else:
        # Without this option, uv doesn't verify the packages that have no hash in the list.
        hashed = source == LIST and any(b"--hash=" in part for part in _listed(release, reader(release)))
        enforce = ["--require-hashes"] if hashed else []
        _run([*_pip(paths, folder, "install"), *enforce, "--requirement", source], release)
    if (folder / "bin/gunicorn").exists():
        return _warning(folder)
    install = [*_pip(paths, folder, "install"), "--require-hashes", "--requirement", str(paths.gunicorn_requirements)]
    try:
        # The first boot has put Gunicorn into uv's cache. The package registry may be out of reach.
        _run([*install, "--offline"], release)
    except ReleaseError:
        _run(install, release)
    return ""


def _install_lock(paths: Paths, release: Path, folder: Path) -> None:
    # uv installs a lock from the registry that the lock names, but an exported list from the server's own index.
    locked = str(folder / "locked.txt")
    export = [str(paths.uv), "export", "--quiet", "--frozen", "--no-dev", "--no-default-groups", "--no-emit-project"]
    python = str(folder / "bin/python")
    _run([*export, "--no-editable", "--no-header", "--python", python, "--output-file", locked], release)
    _run([*_pip(paths, folder, "sync"), "--allow-empty-requirements", locked], release)


def _pip(paths: Paths, folder: Path, verb: str) -> list[str]:
    return [str(paths.uv), "pip", "--quiet", verb, "--compile-bytecode", "--python", str(folder / "bin/python")]


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


def _warning(folder: Path) -> str:
    """A warning if the app has chosen an old version of Gunicorn, or an empty text."""
    metadata = next(folder.glob("lib/python3*/site-packages/gunicorn-*.dist-info"), None)
    version = metadata.name.removeprefix("gunicorn-").removesuffix(".dist-info") if metadata else ""
    if tuple(int(part) for part in re.findall(r"\d+", version)[:3]) >= LOSSLESS_GUNICORN:
        return ""
    lossless = ".".join(map(str, LOSSLESS_GUNICORN))
    return f"; the app's gunicorn {version} may cut requests off at a release, {lossless} and newer don't"


def _run(command: list[str], release: Path) -> None:
    home = Paths().build_home
    env = {**os.environ, "HOME": str(home), "UV_CACHE_DIR": str(home / "uv")}
    # UV_SYSTEM_CERTS: trust the server's certificates, which may include that of the owner's package registry.
    env.update(UV_PYTHON_DOWNLOADS="never", UV_SYSTEM_CERTS="true", NO_COLOR="1")
    try:
        result = subprocess.run(
            command,
            user=BUILD_USER, group=BUILD_USER, extra_groups=[], umask=0o022, cwd=release,
            env=env, capture_output=True, text=True, timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ReleaseError(
            f"installing the requirements took more than {TIMEOUT_SECONDS} s, which is the limit: check that the server"
            f" can reach the package registry, then run the command again ({' '.join(command)})"
        ) from None
    if result.returncode != 0:
        raise ReleaseError(f"the requirements can't be installed:\n{shortened(result.stderr or result.stdout)}")


def shortened(output: str) -> str:
    """uv's output without the passwords of indexes; of a long output, only the first and the last lines."""
    lines = [_PASSWORD.sub("//***@", line.rstrip())[:COLUMNS] for line in output.strip().splitlines() if line.strip()]
    if len(lines) > FIRST_LINES + LAST_LINES:
        lines[FIRST_LINES:-LAST_LINES] = ["  ..."]
    return "\n".join(lines)
