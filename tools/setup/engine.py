"""Which Pulumi engine is used: the one on PATH if it is new enough, else one of this checkout's own."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tools.setup.files import digest, read_record, write_record
from tools.setup.paths import ENGINE, GENERATED, ROOT
from tools.setup.programs import first_line_of
from tools.setup.report import say

VERSION = "3.259.0"
# The SDK in requirements.txt is of this version, and nothing older was tried with it.
OLDEST = (3, 259, 0)
SOURCES = ROOT / "tools" / "engine"
# To be raised when own_engine.py makes an engine in another way from the same modules.
RECIPE = "1"
RECORD = GENERATED / "engine.json"


class Installed(NamedTuple):
    """A `pulumi` that the user has on PATH."""

    program: str
    version: str
    has_python_host: bool


class Engine(NamedTuple):
    """The engine in use, and why this one."""

    program: Path
    why: str


def version_of(text: str) -> tuple[int, ...] | None:
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(number) for number in found.groups()) if found else None


def fault_of(installed: Installed | None) -> str | None:
    """Why the pulumi on PATH cannot be used, or nothing when it can."""
    if installed is None:
        return "there is no pulumi on PATH"
    version = version_of(installed.version)
    if version is None:
        return f"{installed.program} does not tell its version"
    if not OLDEST <= version < (OLDEST[0] + 1,):
        return f"{installed.program} is {installed.version}, not {VERSION} or a later 3.x"
    if not installed.has_python_host:
        return f"{installed.program} has no pulumi-language-python beside it or on PATH"
    return None


def pulumi_on(path: str) -> str | None:
    """The first `pulumi` on `path` that is not this checkout's own, nor a link to it."""
    own = {ROOT / "bin", ENGINE}
    for folder in path.split(os.pathsep):
        program = Path(folder, "pulumi")
        if folder and program.resolve().parent not in own and os.access(program, os.X_OK):
            return str(program)
    return None


def look_at(program: str, path: str) -> Installed:
    beside = os.pathsep.join([str(Path(program).parent), str(Path(program).resolve().parent), path])
    return Installed(
        program=program,
        version=first_line_of([program, "version"]),
        has_python_host=shutil.which("pulumi-language-python", path=beside) is not None,
    )


def pins() -> str:
    """The digest of what an engine of our own is made from."""
    locks = [SOURCES / module / file for module in ("pulumi", "language") for file in ("go.mod", "go.sum")]
    return digest([VERSION, RECIPE, *locks])


def inputs(environ: Mapping[str, str]) -> str:
    """The digest of all that decides which engine is used, apart from the network."""
    found = pulumi_on(environ.get("PATH", os.defpath))
    status = Path(found).stat() if found else None
    return digest([pins(), f"{found} {status.st_size} {status.st_mtime_ns}" if status else "none"])


def ready(environ: Mapping[str, str]) -> Engine | None:
    """The engine that was chosen earlier, if nothing has changed since that could alter the choice."""
    record = read_record(RECORD)
    if record.get("inputs") != inputs(environ) or not os.access(record["program"], os.X_OK):
        return None
    return Engine(Path(record["program"]), record["why"])


def make(environ: Mapping[str, str]) -> Engine:
    """Chooses an engine, makes it if need be, and remembers the choice."""
    path = environ.get("PATH", os.defpath)
    found = pulumi_on(path)
    installed = look_at(found, path) if found else None
    fault = fault_of(installed)
    if installed and fault is None:
        engine = Engine(Path(installed.program), f"Pulumi {installed.version.lstrip('v')}, which is on PATH")
    else:
        # Not imported at each start: the network modules would take longer than all the rest.
        from tools.setup.own_engine import own_engine

        engine = Engine(ENGINE / "pulumi", own_engine(pins(), fault or "", environ))
    choice = {"inputs": inputs(environ), "program": str(engine.program), "why": engine.why}
    write_record(RECORD, choice)
    say(f"engine: {engine.why}")
    return engine
