"""Virtual environments, keyed by what goes into them, so that an unchanged set costs nothing."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from host.errors import ReleaseError
from host.paths import Paths

# Building a package runs its code: this user owns the environments and nothing else.
BUILD_USER = "gantry-build"
TIMEOUT_SECONDS = 600
# Other files of requirements and constraints, and packages that are folders or files of the app.
_NAMED_FILE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[ =]*([^\s#]+)")
_OWN_CODE = re.compile(r"^\s*(?:-e|--editable|\.|/)|^[^#]*\bfile:")
# Written last: an environment without it was interrupted and is built again.
MARK = ".complete"


def environment(paths: Paths, release: Path) -> tuple[Path, str]:
    """The virtual environment for the release in folder ``release``, and what was done to have it."""
    requirements = release / "requirements.txt"
    if not requirements.is_file():
        raise ReleaseError("the app has no requirements.txt: add one that lists at least your web framework")
    wanted = folder(paths, release)
    if (wanted / MARK).exists():
        return wanted, "unchanged"
    shutil.rmtree(wanted, ignore_errors=True)
    try:
        _build(paths, requirements, wanted)
    except BaseException:
        shutil.rmtree(wanted, ignore_errors=True)
        raise
    (wanted / MARK).touch()
    return wanted, "installed"


def folder(paths: Paths, release: Path) -> Path:
    """Where the environment of the release in folder ``release`` is, or would be."""
    return paths.venvs / key(release, paths.gunicorn.read_bytes())


def key(release: Path, gunicorn: bytes) -> str:
    """Name of the environment: 12 hex digits over the requirements, our Gunicorn's and the Python version."""
    digest = hashlib.sha256()
    for part in (*_requirements(release / "requirements.txt"), gunicorn, sys.version.encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]


def _requirements(file: Path) -> list[bytes]:
    """The file and those that it names, in order; where one installs from the app's own folder, the release too."""
    content = file.read_bytes()
    parts = [content]
    for line in content.decode(errors="replace").splitlines():
        if named := _NAMED_FILE.match(line):
            parts += _requirements(file.parent / named[1])
        elif _OWN_CODE.match(line):
            parts.append(str(file.parent).encode())
    return parts


def _build(paths: Paths, requirements: Path, folder: Path) -> None:
    # The folder is made for the build user, who may not write beside it.
    folder.mkdir(parents=True)
    shutil.chown(folder, BUILD_USER, BUILD_USER)
    python = str(folder / "bin/python")
    uv = str(paths.uv)
    _run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)])
    install = [uv, "pip", "install", "--compile-bytecode", "--python", python, "--requirement"]
    # uv enforces hashes by itself as soon as one line of the file has one.
    _run([*install, str(requirements)])
    if not (folder / "bin/gunicorn").exists():
        _run([*install, str(paths.gunicorn)])


def _run(command: list[str]) -> None:
    environment = {**os.environ, "HOME": "/var/cache/gantry", "UV_CACHE_DIR": "/var/cache/gantry/uv"}
    # The certificates that the server trusts, which may include those of its owner's registry.
    environment.update(UV_PYTHON_DOWNLOADS="never", UV_SYSTEM_CERTS="true")
    try:
        done = subprocess.run(
            command,
            user=BUILD_USER, group=BUILD_USER, extra_groups=[], umask=0o022, cwd="/var/cache/gantry",
            env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ReleaseError(f"installing the requirements took over {TIMEOUT_SECONDS} s: {' '.join(command)}") from None
    if done.returncode != 0:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise ReleaseError(f"the requirements can't be installed:\n{said}")
