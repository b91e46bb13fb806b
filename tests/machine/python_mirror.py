"""A source of Python for servers: an archive and a list for uv, made from one of pyenv's on this computer."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from pathlib import Path

import pytest

MINOR = "3.10"


def make(folder: Path, url: str) -> str:
    """Write both into the new ``folder``, which will be served at ``url``; returns the version.

    Skips the test if this computer has no such Python.
    """
    pythons = sorted((Path.home() / ".pyenv/versions").glob(f"{MINOR}.*"))
    if not pythons:
        pytest.skip(f"pyenv has built no Python {MINOR} on this computer")
    folder.mkdir()
    tree = folder.with_name("tree") / "python"
    tree.parent.mkdir()
    subprocess.run(["cp", "-a", pythons[-1], tree], check=True)
    for program in (tree / f"bin/python{MINOR}", *tree.glob(f"lib/libpython{MINOR}.so.1.0")):
        _make_relocatable(program, pythons[-1])
    archive = folder / "python.tar.gz"
    unused = [f"--exclude={name}" for name in ("test", "*.a", "__pycache__", "site-packages/*")]
    subprocess.run(["tar", *unused, "-C", tree.parent, "-czf", archive, "python"], check=True)
    major, minor, patch = map(int, pythons[-1].name.split("."))
    entry = {
        "name": "cpython", "arch": {"family": platform.machine(), "variant": None}, "os": "linux", "libc": "gnu",
        "major": major, "minor": minor, "patch": patch, "prerelease": "", "variant": None, "build": "1",
        "url": f"{url}/{archive.name}", "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
    }  # fmt: skip
    key = f"cpython-{pythons[-1].name}-linux-{platform.machine()}-gnu"
    (folder / "pythons.json").write_text(json.dumps({key: entry}))
    return pythons[-1].name


def _make_relocatable(program: Path, prefix: Path) -> None:
    """Let the program find its library beside itself: replace the path in its ELF header by a shorter one."""
    path = f"{prefix}/lib".encode()
    content = program.read_bytes().replace(path + b"\0", b"$ORIGIN/../lib".ljust(len(path), b"\0") + b"\0")
    program.chmod(0o755)
    program.write_bytes(content)
