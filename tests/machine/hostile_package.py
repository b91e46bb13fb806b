"""The build code of a hostile package: tries what must not work, and leaves traps for root and for later releases."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from pathlib import Path

import probes  # pyright: ignore[reportMissingImports] # the file beside it on the server

# Root would follow these links, if it wrote to such a name.
TRAPS = (".complete", "locked.txt", "requirements/requirements.txt", "pyvenv.cfg.new", "cache/link", "bin/gunicorn.new")


def build_wheel(folder: str, *_: object) -> str:
    # The package is built in <virtual environment>/source/hostile.
    venv = Path.cwd().parents[1]
    record = {"venv": str(venv), **probes.results(), "changed": changed_files(venv)}
    probes.leave_a_process()
    for name in TRAPS:
        with contextlib.suppress(OSError):
            (venv / name).parent.mkdir(exist_ok=True)
            (venv / name).symlink_to("/etc/gantry-trap")
    with zipfile.ZipFile(f"{folder}/hostile-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("hostile.py", f"RECORD = {json.dumps(record)!r}\n")
        wheel.writestr("hostile-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: hostile\nVersion: 1\n")
        wheel.writestr("hostile-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("hostile-1.dist-info/RECORD", "")
    return "hostile-1-py3-none-any.whl"


def changed_files(venv: Path) -> list[str]:
    """The files of uv's caches and of other virtual environments that can be changed in place."""
    found: list[str] = []
    for root in ("/var/cache/gantry", "/opt/gantry", str(venv / "cache")):
        for parent, _, names in os.walk(root):
            if "archive-v" in parent or (root == "/opt/gantry" and not parent.startswith(str(venv))):
                files = [Path(parent, name) for name in names]
                found += [str(file) for file in files if probes.succeeds(lambda file=file: append_to(file))]
    return found[:5]


def append_to(file: Path) -> None:
    # A link may lead to the program that runs.
    if file.is_symlink():
        raise OSError("a link")
    file.open("ab").close()
