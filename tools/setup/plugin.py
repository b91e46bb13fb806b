"""Installs the `command` provider plugin: the official one if it can be downloaded, else the offline one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.setup import versions
from tools.setup.engine import Engine
from tools.setup.files import digest, read_record, write_record
from tools.setup.paths import GENERATED, OFFLINE, ROOT, VENV
from tools.setup.programs import run_logged
from tools.setup.report import SetupError, say

RECORD = GENERATED / "plugin.json"
# The values of "source" in the record. Records of earlier set-ups must stay valid.
OFFICIAL, OFFLINE_PLUGIN = "upstream", "ours"
DOWNLOAD_SECONDS = 120


def decide(*, installed: bool, record: Mapping[str, str], sources: str, retry: bool) -> str:
    """What to do: `keep`, `download` (with the offline plugin as a fallback) or `install offline`.

    `record` is what an earlier set-up did, `sources` the digest of the offline plugin's sources as they are now.
    `retry` tries to download the official plugin although the offline one is installed.
    """
    is_offline = record.get("source") == OFFLINE_PLUGIN
    if installed and (not is_offline or (record.get("digest") == sources and not retry)):
        return "keep"
    return "download" if not is_offline or retry else "install offline"


def is_installed(environ: Mapping[str, str]) -> bool:
    # The engine keeps a `.partial` file beside the folder until the installation is complete.
    folder = _plugin_folder(environ)
    partial = folder.with_name(folder.name + ".partial")
    return (folder / "pulumi-resource-command").is_file() and not partial.exists()


def _plugin_folder(environ: Mapping[str, str]) -> Path:
    return Path(environ["PULUMI_HOME"], "plugins", f"resource-command-v{versions.COMMAND_PLUGIN}")


def sources_digest() -> str:
    """The digest of the offline plugin's sources and of the virtual environment's path, which its launcher contains."""
    sources = sorted((OFFLINE / "command_plugin").rglob("*.py"))
    return digest([*sources, OFFLINE / "pack_plugin.py", str(VENV)])


def is_offline(environ: Mapping[str, str]) -> bool:
    """Whether this PULUMI_HOME has the offline plugin."""
    return _record_for(environ).get("source") == OFFLINE_PLUGIN


def _record_for(environ: Mapping[str, str]) -> dict[str, str]:
    """What an earlier set-up did for this PULUMI_HOME; empty for another one."""
    record = read_record(RECORD)
    return record if record.get("home") == environ["PULUMI_HOME"] else {}


def ready(environ: Mapping[str, str]) -> bool:
    return _next_action(environ, retry=False) == "keep"


def _next_action(environ: Mapping[str, str], *, retry: bool) -> str:
    return decide(installed=is_installed(environ), record=_record_for(environ), sources=sources_digest(), retry=retry)


def install(engine: Engine, environ: Mapping[str, str], *, retry: bool) -> None:
    """Installs the plugin into the PULUMI_HOME of `environ`. `retry` tries to download the official one again."""
    action = _next_action(environ, retry=retry)
    if action == "download":
        if _download(engine, environ):
            _remember(OFFICIAL, environ)
            say(f"command plugin: {versions.COMMAND_PLUGIN} from upstream")
            return
        is_current = is_installed(environ) and _record_for(environ).get("digest") == sources_digest()
        action = "keep" if is_current else "install offline"
    if action == "install offline":
        _install_offline(engine, environ)
        _remember(OFFLINE_PLUGIN, environ)
        say("command plugin: the one in tools/offline/command_plugin (Pulumi's downloads cannot be reached)")


def _remember(source: str, environ: Mapping[str, str]) -> None:
    write_record(RECORD, {"source": source, "digest": sources_digest(), "home": environ["PULUMI_HOME"]})


def _download(engine: Engine, environ: Mapping[str, str]) -> bool:
    # Imported only here: the network modules take longer to import than all the rest.
    from tools.setup.download import reachable

    if not reachable():
        return False
    command = [str(engine.program), "plugin", "install", "resource", "command", versions.COMMAND_PLUGIN, "--reinstall"]
    try:
        run_logged("downloading the command plugin", command, env=environ, time_limit=DOWNLOAD_SECONDS)
    except SetupError as error:
        say(str(error))
        return False
    return True


def _install_offline(engine: Engine, environ: Mapping[str, str]) -> None:
    with TemporaryDirectory(prefix="gantry-plugin-") as folder:
        python = str(VENV / "bin" / "python")
        pack = [python, "-m", "tools.offline.pack_plugin", "--python", python, "--out", folder]
        run_logged("packing the command plugin", pack, cwd=ROOT, env=environ)
        # The engine never replaces an installed version by itself.
        shutil.rmtree(_plugin_folder(environ), ignore_errors=True)
        install = [str(engine.program), "plugin", "install", "resource", "command", versions.COMMAND_PLUGIN]
        run_logged("installing the command plugin", [*install, "--file", folder, "--reinstall"], env=environ)
