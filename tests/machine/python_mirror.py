"""A source of Python for servers: an archive and a list for uv, made from one of this computer."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from pathlib import Path

import pytest

from tests.stack import ROOT

MINOR = "3.10"


def make(folder: Path, url: str) -> str:
    """Write both into the new ``folder``, which will be served at ``url``; returns the version.

    Skips the test if this computer has no such Python and can't download it.
    """
    python = _from_pyenv() or _from_uv(folder.with_name("downloaded"))
    if python is None:
        pytest.skip(f"pyenv has built no Python {MINOR} on this computer, and uv can't download it")
    command = [python / f"bin/python{MINOR}", "-c", "import platform; print(platform.python_version())"]
    version = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    folder.mkdir()
    tree = folder.with_name("tree") / "python"
    tree.parent.mkdir()
    subprocess.run(["cp", "-a", python, tree], check=True)
    for program in (tree / f"bin/python{MINOR}", *tree.glob(f"lib/libpython{MINOR}.so.1.0")):
        _make_relocatable(program, python)
    archive = folder / "python.tar.gz"
    unused = [f"--exclude={name}" for name in ("test", "*.a", "__pycache__", "site-packages/*")]
    subprocess.run(["tar", *unused, "-C", tree.parent, "-czf", archive, "python"], check=True)
    major, minor, patch = map(int, version.split("."))
    entry = {
        "name": "cpython", "arch": {"family": platform.machine(), "variant": None}, "os": "linux", "libc": "gnu",
        "major": major, "minor": minor, "patch": patch, "prerelease": "", "variant": None, "build": "1",
        "url": f"{url}/{archive.name}", "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
    }  # fmt: skip
    key = f"cpython-{version}-linux-{platform.machine()}-gnu"
    (folder / "pythons.json").write_text(json.dumps({key: entry}))
    return version


def _from_pyenv() -> Path | None:
    return max((Path.home() / ".pyenv/versions").glob(f"{MINOR}.*"), default=None)


def _from_uv(folder: Path) -> Path | None:
    """A Python that uv installs into ``folder``; None if it can't be downloaded."""
    uv = ROOT / ".gantry/uv/bin/uv"
    subprocess.run([uv, "python", "install", "--no-bin", "--install-dir", folder, MINOR], check=False)
    return max((path for path in folder.glob(f"cpython-{MINOR}.*") if not path.is_symlink()), default=None)


def _make_relocatable(program: Path, prefix: Path) -> None:
    """Let the program find its library beside itself: replace the path in its ELF header by a shorter one."""
    path = f"{prefix}/lib".encode()
    content = program.read_bytes().replace(path + b"\0", b"$ORIGIN/../lib".ljust(len(path), b"\0") + b"\0")
    program.chmod(0o755)
    program.write_bytes(content)
