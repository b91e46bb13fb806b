"""Virtual environments, keyed by what goes into them, so that an unchanged set costs nothing."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from host import files
from host.errors import ReleaseError
from host.paths import Paths

# Building a package runs its code: this user owns the environments and nothing else.
BUILD_USER = "gantry-build"
TIMEOUT_SECONDS = 600
# Another file of requirements or constraints, named by a path; one at an address is taken as it is.
_NAMED_FILE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[ =]*(?!\w+://)([^\s#]+)")
LOSSLESS_GUNICORN = (27, 0, 1)
# Written last: an environment without it was interrupted and is built again.
MARK = ".complete"


def environment(paths: Paths, release: Path) -> tuple[Path, str]:
    """The virtual environment for the release in folder ``release``, and what was done to have it."""
    if not (release / "requirements.txt").is_file():
        raise ReleaseError("the app has no requirements.txt: add one that lists at least your web framework")
    requirements = _requirements(release / "requirements.txt", {})
    folder = paths.venvs / key(requirements, paths.gunicorn.read_bytes())
    # Pruning must know what a release uses also when Python, and with it the key, has changed since.
    paths.venv_links.mkdir(parents=True, exist_ok=True)
    files.point(paths.venv_links / release.name, folder)
    if (folder / MARK).exists():
        return folder, "unchanged"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        warning = _build(paths, release, folder, hashed=any(b"--hash=" in content for content in requirements))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    (folder / MARK).touch()
    return folder, f"installed{warning}"


def key(requirements: list[bytes], gunicorn: bytes) -> str:
    """Name of the environment: 12 hex digits over the requirements, our Gunicorn's and the Python version."""
    digest = hashlib.sha256()
    for part in (*requirements, gunicorn, sys.version.encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]


def _requirements(file: Path, seen: dict[Path, bytes]) -> list[bytes]:
    """What is in the file and in those that it names, each once."""
    try:
        seen[file] = file.read_bytes()
    except OSError as error:
        raise ReleaseError(f"the requirements name {file.name}, which can't be read: {error.strerror}") from None
    for line in seen[file].decode(errors="replace").splitlines():
        named = _NAMED_FILE.match(line)
        if named and (other := file.parent / named[1]) not in seen:
            _requirements(other, seen)
    return list(seen.values())


def _build(paths: Paths, release: Path, folder: Path, *, hashed: bool) -> str:
    """Install everything; returns a warning, or nothing."""
    # The folder is made for the build user, who may not write beside it.
    folder.mkdir(parents=True)
    shutil.chown(folder, BUILD_USER, BUILD_USER)
    uv = str(paths.uv)
    _run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)], release)
    install = [uv, "pip", "install", "--compile-bytecode", "--python", str(folder / "bin/python")]
    # By itself uv checks just the hashes that are given; one that is missing is as bad as a wrong one.
    enforce = ["--require-hashes"] if hashed else []
    _run([*install, *enforce, "--requirement", "requirements.txt"], release)
    if (folder / "bin/gunicorn").exists():
        return _warning_of(folder)
    ours = [*install, "--require-hashes", "--requirement", str(paths.gunicorn)]
    try:
        # uv's cache has had it since the first boot; the registry may be out of reach by now.
        _run([*ours, "--offline"], release)
    except ReleaseError:
        _run(ours, release)
    return ""


def _warning_of(folder: Path) -> str:
    """What is to be said of the Gunicorn that the app has chosen."""
    found = next(folder.glob("lib/python3*/site-packages/gunicorn-*.dist-info"), None)
    version = found.name.removeprefix("gunicorn-").removesuffix(".dist-info") if found else ""
    if tuple(int(part) for part in re.findall(r"\d+", version)[:3]) >= LOSSLESS_GUNICORN:
        return ""
    wanted = ".".join(map(str, LOSSLESS_GUNICORN))
    return f"; the app's gunicorn {version} may cut requests off at a release, {wanted} and newer don't"


def _run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "HOME": "/var/cache/gantry", "UV_CACHE_DIR": "/var/cache/gantry/uv"}
    # The certificates that the server trusts, which may include those of its owner's registry.
    environment.update(UV_PYTHON_DOWNLOADS="never", UV_SYSTEM_CERTS="true")
    try:
        done = subprocess.run(
            command,
            user=BUILD_USER, group=BUILD_USER, extra_groups=[], umask=0o022, cwd=folder,
            env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ReleaseError(f"installing the requirements took over {TIMEOUT_SECONDS} s: {' '.join(command)}") from None
    if done.returncode != 0:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise ReleaseError(f"the requirements can't be installed:\n{said}")
