"""Make the folder that `pulumi plugin install resource command 1.2.1 --file FOLDER` installs.

    install.py --python VENV/bin/python --out FOLDER

The Python must have the packages `pulumi` and `paramiko`. The folder holds a copy of the sources, so the
installed plugin does not change under a running engine, and only the Python is needed at its place.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = "command_plugin"
PACKAGES = ("pulumi", "paramiko")
EXECUTABLE = "pulumi-resource-command"
SOURCES = Path(__file__).resolve().parent

LAUNCHER = """\
#!/bin/sh
# -I: the program's PYTHONPATH and working directory are not this plugin's.
exec {python} -I "$(dirname "$0")" "$@"
"""


class InstallError(Exception):
    """What is missing, and how to get it."""


def install(python: Path, out: Path) -> Path:
    """Write the folder anew and return the path of its executable."""
    python = Path(python).absolute()
    _require_packages(python)
    executable = out / EXECUTABLE
    if out.exists():
        if any(out.iterdir()) and not executable.exists():
            raise InstallError(f"{out} holds something else: name a new folder or one made by this command")
        shutil.rmtree(out)
    shutil.copytree(SOURCES / PACKAGE, out / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SOURCES / "__main__.py", out)
    _compile(python, out / PACKAGE)
    executable.write_text(LAUNCHER.format(python=shlex.quote(str(python))))
    executable.chmod(0o755)
    return executable


def _require_packages(python: Path) -> None:
    probe = f"import importlib.util as u; print(*[n for n in {PACKAGES} if u.find_spec(n) is None])"
    try:
        done = subprocess.run([python, "-I", "-c", probe], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise InstallError(f"{python} does not run: {error}") from None
    if missing := done.stdout.split():
        raise InstallError(f"{python} lacks {' and '.join(missing)}: install them into that environment")


def _compile(python: Path, package: Path) -> None:
    """Bytecode that no change of times makes stale: installing copies the files."""
    subprocess.run(
        [python, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", package], check=True
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="a Python with pulumi and paramiko")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    options = parser.parse_args()
    try:
        print(install(options.python, options.out))
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
