"""Makes the folder that `pulumi plugin install resource command 1.2.1 --file FOLDER` installs.

    python3 -m tools.offline.pack_plugin --python VENV/bin/python --out FOLDER

The Python needs the packages `pulumi` and `paramiko`, and must stay at its path. The folder holds a copy of the
sources, so that a plugin doesn't change while an engine uses it.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "command_plugin"
PACKAGES = ("pulumi", "paramiko")
EXECUTABLE = "pulumi-resource-command"

LAUNCHER = """\
#!/bin/sh
# -I: the working directory and PYTHONPATH belong to the user's program, not to this plugin.
exec {python} -I "$(dirname "$0")" "$@"
"""
MAIN = f"""\
from {SOURCES.name}.server import main

main()
"""


class PackError(Exception):
    """The folder can't be made. The message says what is missing and how to get it."""


def pack(python: Path, out: Path) -> Path:
    """Writes the folder, replacing an older one, and returns the path of the plugin's executable."""
    python = python.absolute()
    _require_packages(python)
    executable = out / EXECUTABLE
    if out.exists():
        if any(out.iterdir()) and not executable.exists():
            raise PackError(f"{out} contains other files: name a new folder, or one that this command has made")
        shutil.rmtree(out)
    package = out / SOURCES.name
    shutil.copytree(SOURCES, package, ignore=shutil.ignore_patterns("__pycache__", "README.md"))
    (out / "__main__.py").write_text(MAIN)
    _compile(python, package)
    executable.write_text(LAUNCHER.format(python=shlex.quote(str(python))))
    executable.chmod(0o755)
    return executable


def _require_packages(python: Path) -> None:
    probe = f"import importlib.util as u; print(*[n for n in {PACKAGES} if u.find_spec(n) is None])"
    try:
        result = subprocess.run([python, "-I", "-c", probe], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PackError(f"{python} does not run: {error}") from None
    if missing := result.stdout.split():
        raise PackError(f"{python} lacks {' and '.join(missing)}: install them into that environment")


def _compile(python: Path, package: Path) -> None:
    # Installing copies the files and changes their times. Bytecode with unchecked hashes stays valid.
    subprocess.run(
        [python, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", package], check=True
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="a Python with pulumi and paramiko")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    options = parser.parse_args()
    try:
        print(pack(options.python, options.out))
    except PackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
