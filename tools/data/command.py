"""The commands of bin/data: pull copies /var/lib/app from a server, push copies it to one."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from components import ssh
from components.app_data import Contents
from host import app_data, app_units
from tools import login
from tools.data.rsync import APP_HOME, Copy, CopyError, require_programs

FOLDER = Path("data")
# How often a copy is compared with what the app may be writing.
ATTEMPTS = 3
STOP = f"sudo systemctl stop {shlex.join(app_units.PATTERNS)}"
START = "sudo gantry resume"
STOP_SECONDS, START_SECONDS = 300, 900
_SHOWN_DIFFERENCES = 3


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        server = login.find(options.stack, options.server)
        folder: Path = options.folder or FOLDER / server.name
        # Ctrl-C ends rsync. This program then says how to go on.
        signal.signal(signal.SIGINT, lambda _number, _frame: None)
        require_programs(server.login, server.name)
        if options.command == "pull":
            _pull(server, folder, stop=options.stop)
        else:
            _push(folder, server, f"bin/ssh --stack {options.stack} {server.name}")
    except (login.NoServerError, CopyError, OSError, subprocess.TimeoutExpired) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bin/data", description=f"Copy {APP_HOME} of a server to this computer, or back. A stopped copy goes on."
    )
    parser.add_argument("--stack", "-s", default="dev", help="default: dev")
    commands = parser.add_subparsers(dest="command", required=True)
    pull = commands.add_parser("pull", help="copy from a server, and compare")
    pull.add_argument("server", nargs="?", help="such as dev-0; default: the first server")
    pull.add_argument("folder", nargs="?", type=Path, help=f"default: {FOLDER}/SERVER")
    pull.add_argument("--stop", action="store_true", help="stop the app during the copy; visitors get 503")
    push = commands.add_parser("push", help="copy to a server, and compare; the app is stopped meanwhile")
    push.add_argument("folder", nargs="?", type=Path, help=f"default: {FOLDER}/SERVER")
    push.add_argument("server", nargs="?", help="such as dev-0; default: the first server")
    for command in (pull, push):
        command.add_argument("--stack", "-s", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _pull(server: login.Server, folder: Path, *, stop: bool) -> None:
    record = _record_of(folder)
    known = _read(record)
    if folder.exists() and not folder.is_dir():
        raise CopyError(f"{folder} isn't a folder: choose another one")
    if known.get("server") != server.id and folder.is_dir() and any(folder.iterdir()):
        whose = f"the data of another server ({known['server']})" if known else "files that aren't from this server"
        raise CopyError(f"{folder} has {whose}, which the copy would delete: move it away, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    _write(record, {"server": server.id, "complete": False})
    if stop:
        _run(server, STOP, STOP_SECONDS)
    try:
        _copy(Copy(server.login, source=None, target=folder), advice="stop it during the copy: bin/data pull --stop")
    finally:
        if stop:
            _run(server, START, START_SECONDS)
    _write(record, {"server": server.id, "complete": True})
    print(f"{_count(folder)} of {server.name} ({server.id}) are in {folder}, equal by checksum")


def _push(folder: Path, server: login.Server, bin_ssh: str) -> None:
    known = _read(_record_of(folder))
    if not folder.is_dir() or not any(folder.iterdir()):
        raise CopyError(f"{folder} has no files to copy: name the folder")
    if known and not known.get("complete"):
        raise CopyError(f"{folder} is the incomplete copy of a server: complete it with bin/data pull first")
    # Files that the copy replaces or deletes stay on the server.
    aside = f"{APP_HOME}.before-push-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    options = ["--chown=app:app", "--backup", f"--backup-dir={aside}"]
    _run(server, STOP, STOP_SECONDS)
    try:
        _copy(Copy(server.login, source=folder, target=None, options=options), advice="end the process that writes")
    except CopyError:
        print(f"the app of {server.name} is stopped, because its data isn't complete; to start it as it is:")
        print(f"  {bin_ssh} {START}", flush=True)
        raise
    _run(server, START, START_SECONDS)
    print(f"{_count(folder)} of {folder} are on {server.name} ({server.id}), equal by checksum")
    if _run(server, f"sudo ls -d {aside} || true", STOP_SECONDS).strip():
        print(f"what was there before is in {aside}; when all is well, delete it:")
        print(f"  {bin_ssh} sudo rm -r {aside}")


def _copy(copy: Copy, *, advice: str) -> None:
    """Copies until both sides are equal. A file that the app wrote meanwhile is copied again."""
    differences: list[str] = []
    for _ in range(ATTEMPTS):
        copy.run()
        differences = copy.differences()
        if not differences:
            return
    names = ", ".join(differences[:_SHOWN_DIFFERENCES])
    raise CopyError(
        f"{len(differences)} files changed during each of {ATTEMPTS} copies ({names}): the app writes; {advice}"
    )


def _run(server: login.Server, command: str, seconds: float) -> str:
    """The command's output. Raises CopyError."""
    result = ssh.run(server.login, [command], timeout=seconds)
    if result.returncode != 0:
        output = (result.stderr or result.stdout).decode(errors="replace").strip()
        raise CopyError(f"{server.name}: {command} failed\n{output}")
    return result.stdout.decode(errors="replace")


def _count(folder: Path) -> Contents:
    files, size = app_data.count(folder)
    return Contents(files=files, bytes=size)


def _record_of(folder: Path) -> Path:
    """The file beside the folder that says which server its data is from."""
    return folder.resolve().with_name(f"{folder.resolve().name}.json")


def _read(record: Path) -> dict[str, Any]:
    try:
        document = json.loads(record.read_text())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}


def _write(record: Path, document: dict[str, Any]) -> None:
    record.write_text(f"{json.dumps(document)}\n")
