"""Installs the engine of this checkout: the official release, else a build from the Go module proxy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tools.offline.engine.build import build_into
from tools.offline.go import INSTALL_GO, find_go
from tools.setup import download, versions
from tools.setup.files import atomic_folder, read_record, write_record
from tools.setup.paths import ENGINE
from tools.setup.report import SetupError, say

RECORD = "made.json"


def install(pins: str, fault: str, environ: Mapping[str, str]) -> str:
    """Installs the engine, unless it exists and was made from the same pins.

    `fault` says why the pulumi on PATH can't be used. Returns the reason for this engine as one line.
    """
    record = read_record(ENGINE / RECORD)
    if record.get("pins") != pins:
        with atomic_folder(ENGINE) as folder:
            record = {"pins": pins, "why": _fill(folder, fault, environ)}
            write_record(folder / RECORD, record)
    return record["why"]


def _fill(folder: Path, fault: str, environ: Mapping[str, str]) -> str:
    platform = download.release_platform()
    go = find_go(environ)
    method, why = choose_method(fault, platform, reachable=download.reachable, go=go)
    if method == "download" and platform:
        say(f"downloading Pulumi {versions.PULUMI}")
        try:
            download.release_into(folder, versions.PULUMI, platform)
        except download.DownloadError as error:
            say(f"the download failed: {error}")
            method, why = choose_method(fault, platform, reachable=lambda: False, go=go)
    if method == "build" and go:
        build_into(folder, versions.PULUMI, compiler=go, environ=environ)
    return why


def choose_method(fault: str, platform: str | None, reachable: Callable[[], bool], go: str | None) -> tuple[str, str]:
    """How to get the engine, `download` or `build`, and the reason as one line.

    `platform` is that of an official release, `go` the path of a Go compiler; each can be None.
    """
    version = versions.PULUMI
    if platform and reachable():
        return "download", f"Pulumi {version}, the official release for {platform} ({fault})"
    obstacle = "Pulumi's downloads cannot be reached" if platform else "no official release fits this platform"
    if go:
        return "build", f"Pulumi {version}, built with {go} ({fault}, and {obstacle})"
    raise SetupError(
        f"No Pulumi engine: {fault}, {obstacle}, and there is no Go to build it with.\n"
        f"{INSTALL_GO}, or Pulumi {version} or a later 3.x (https://www.pulumi.com/docs/install/);\n"
        "then run: make setup"
    )
