"""Chooses the Pulumi engine: the one on PATH if it is new enough, else one that belongs to this checkout."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tools.setup import versions
from tools.setup.files import digest, read_record, write_record
from tools.setup.paths import ENGINE, ENGINE_MODULES, GENERATED, ROOT
from tools.setup.programs import first_line_of
from tools.setup.report import say

# The SDK in requirements.txt has this version. Older engines haven't been tried with it.
OLDEST = (3, 259, 0)
# Raise this when tools/offline/engine builds another engine from the same Go modules.
RECIPE = "1"
RECORD = GENERATED / "engine.json"


class Installed(NamedTuple):
    """A `pulumi` that the user has on PATH."""

    program: str
    version: str
    has_python_host: bool


class Engine(NamedTuple):
    """The engine in use, and the reason for the choice as one line."""

    program: Path
    why: str


def version_of(text: str) -> tuple[int, ...] | None:
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(number) for number in match.groups()) if match else None


def fault_of(installed: Installed | None) -> str | None:
    """Why the pulumi on PATH can't be used, or None if it can."""
    if installed is None:
        return "there is no pulumi on PATH"
    version = version_of(installed.version)
    if version is None:
        return f"{installed.program} doesn't print its version"
    if not OLDEST <= version < (OLDEST[0] + 1,):
        return f"{installed.program} is {installed.version}, not {versions.PULUMI} or a later 3.x"
    if not installed.has_python_host:
        return f"{installed.program} has no pulumi-language-python beside it or on PATH"
    return None


def pulumi_on(path: str) -> str | None:
    """The first `pulumi` on `path` that isn't this checkout's bin/pulumi or engine, nor a link to one of them."""
    checkout_folders = {ROOT / "bin", ENGINE}
    for folder in path.split(os.pathsep):
        program = Path(folder, "pulumi")
        if folder and program.resolve().parent not in checkout_folders and os.access(program, os.X_OK):
            return str(program)
    return None


def inspect_pulumi(program: str, path: str) -> Installed:
    """The version of a pulumi, and whether its Python language host is beside it, where it links to, or on `path`."""
    folders = os.pathsep.join([str(Path(program).parent), str(Path(program).resolve().parent), path])
    return Installed(
        program=program,
        version=first_line_of([program, "version"]),
        has_python_host=shutil.which("pulumi-language-python", path=folders) is not None,
    )


def pins() -> str:
    """The digest of everything that a checkout's engine is made from.

    It depends on the contents of the files only, not on their paths: a moved file doesn't cause a new build.
    """
    locks = [ENGINE_MODULES / module / file for module in ("pulumi", "language") for file in ("go.mod", "go.sum")]
    return digest([versions.PULUMI, RECIPE, *locks])


def inputs(environ: Mapping[str, str]) -> str:
    """The digest of everything that decides which engine is used, apart from the network."""
    program = pulumi_on(environ.get("PATH", os.defpath))
    status = Path(program).stat() if program else None
    return digest([pins(), f"{program} {status.st_size} {status.st_mtime_ns}" if status else "none"])


def ready(environ: Mapping[str, str]) -> Engine | None:
    """The engine of the last choice, or None if an input of that choice has changed since."""
    record = read_record(RECORD)
    if record.get("inputs") != inputs(environ) or not os.access(record["program"], os.X_OK):
        return None
    return Engine(Path(record["program"]), record["why"])


def choose(environ: Mapping[str, str]) -> Engine:
    """Chooses an engine, installs it if necessary, and records the choice for `ready`."""
    path = environ.get("PATH", os.defpath)
    program = pulumi_on(path)
    installed = inspect_pulumi(program, path) if program else None
    fault = fault_of(installed)
    if installed and fault is None:
        engine = Engine(Path(installed.program), f"Pulumi {installed.version.lstrip('v')}, which is on PATH")
    else:
        # Imported only here: the network modules take longer to import than all the rest.
        from tools.setup.engine_install import install

        engine = Engine(ENGINE / "pulumi", install(pins(), fault or "", environ))
    write_record(RECORD, {"inputs": inputs(environ), "program": str(engine.program), "why": engine.why})
    say(f"engine: {engine.why}")
    return engine
