"""The `command` provider: upstream's wherever it can be had, else the one in tools/command-plugin."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.setup.engine import Engine
from tools.setup.files import digest, read_record, write_record
from tools.setup.paths import GENERATED, ROOT, VENV
from tools.setup.programs import run_logged
from tools.setup.report import SetupError, say

VERSION = "1.2.1"
OURS = ROOT / "tools" / "command-plugin"
RECORD = GENERATED / "plugin.json"
DOWNLOAD_SECONDS = 120


def decide(present: bool, record: Mapping[str, str], ours: str, retry: bool) -> str:
    """What to do for a plugin that is present or not: `keep`, `download` (and fall back), or `install ours`.

    `record` tells what an earlier set-up did; `ours` is the digest of our plugin as it is now.
    """
    is_ours = record.get("source") == "ours"
    if present and (not is_ours or (record.get("digest") == ours and not retry)):
        return "keep"
    if not is_ours or retry:
        return "download"
    return "install ours"


def home(environ: Mapping[str, str]) -> Path:
    return Path(environ["PULUMI_HOME"])


def folder_of(environ: Mapping[str, str]) -> Path:
    return home(environ) / "plugins" / f"resource-command-v{VERSION}"


def is_present(environ: Mapping[str, str]) -> bool:
    # The engine keeps `.partial` beside the folder until an installation is whole.
    folder = folder_of(environ)
    unfinished = folder.with_name(folder.name + ".partial")
    return (folder / "pulumi-resource-command").is_file() and not unfinished.exists()


def digest_of_ours() -> str:
    return digest([*sorted(file for file in OURS.rglob("*.py") if "__pycache__" not in file.parts), str(VENV)])


def record_for(environ: Mapping[str, str]) -> dict[str, str]:
    """What was done for this PULUMI_HOME; another one starts afresh."""
    record = read_record(RECORD)
    return record if record.get("home") == str(home(environ)) else {}


def ready(environ: Mapping[str, str]) -> bool:
    return decide(is_present(environ), record_for(environ), digest_of_ours(), retry=False) == "keep"


def make(engine: Engine, environ: Mapping[str, str], *, retry: bool) -> None:
    """Installs the plugin into the PULUMI_HOME of `environ`. `retry` asks for upstream's once more."""
    present, record, ours = is_present(environ), record_for(environ), digest_of_ours()
    action = decide(present, record, ours, retry)
    if action == "download":
        if _download(engine, environ):
            _remember("upstream", environ, ours)
            say(f"command plugin: {VERSION} from upstream")
            return
        still_ours = present and record.get("digest") == ours
        action = "keep" if still_ours else "install ours"
    if action == "install ours":
        _install_ours(engine, environ)
        _remember("ours", environ, ours)
        say("command plugin: the one in tools/command-plugin (Pulumi's downloads cannot be reached)")


def _remember(source: str, environ: Mapping[str, str], ours: str) -> None:
    write_record(RECORD, {"source": source, "digest": ours, "home": str(home(environ))})


def _download(engine: Engine, environ: Mapping[str, str]) -> bool:
    from tools.setup.download import reachable

    if not reachable():
        return False
    command = [str(engine.program), "plugin", "install", "resource", "command", VERSION, "--reinstall"]
    try:
        run_logged("downloading the command plugin", command, env=environ, time_limit=DOWNLOAD_SECONDS)
    except SetupError as error:
        say(str(error))
        return False
    return True


def _install_ours(engine: Engine, environ: Mapping[str, str]) -> None:
    with TemporaryDirectory(prefix="gantry-plugin-") as folder:
        python = VENV / "bin" / "python"
        pack = [str(python), str(OURS / "install.py"), "--python", str(python), "--out", folder]
        run_logged("packing the command plugin", pack, env=environ)
        # The engine takes an installed version for good and would leave the older one in place.
        shutil.rmtree(folder_of(environ), ignore_errors=True)
        install = [str(engine.program), "plugin", "install", "resource", "command", VERSION, "--file", folder]
        run_logged("installing the command plugin", [*install, "--reinstall"], env=environ)
