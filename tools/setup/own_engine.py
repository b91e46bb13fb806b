"""An engine of this checkout's own: the official release, else one built from the Go module proxy."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.setup import download
from tools.setup.engine import SOURCES, VERSION
from tools.setup.files import made_aside, read_record, write_record
from tools.setup.paths import ENGINE
from tools.setup.programs import find, run_logged
from tools.setup.report import SetupError, say

ENGINE_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
# The last version of the SDK's Go module that contains the language host and its helper scripts is 3.79.0.
HOST_MODULE = "github.com/pulumi/pulumi/sdk/v3"
HOST_PACKAGE = f"{HOST_MODULE}/python/cmd/pulumi-language-python"
HOST_SCRIPTS = (
    "python/cmd/pulumi-language-python-exec",
    "python/dist/pulumi-resource-pulumi-python",
    "python/dist/pulumi-analyzer-policy-python",
)
LINKER_FLAGS = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
# The result must not depend on where this folder is, nor on git's state.
GO_BUILD = ("build", "-mod=readonly", "-trimpath", "-buildvcs=false")
GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off"}
# sudo's narrowed path leaves out where Go's own installer puts it.
GO_FOLDERS = ("/usr/local/go/bin", "/usr/lib/go/bin")
INSTALL_GO = "Install Go 1.25.11 or newer (https://go.dev/doc/install)"


def choose(fault: str, release: str | None, reachable: Callable[[], bool], go: str | None) -> tuple[str, str]:
    """How to get the engine (`download` or `build`), and the reason as one line."""
    if release and reachable():
        return "download", f"Pulumi {VERSION}, the official release for {release} ({fault})"
    obstacle = "Pulumi's downloads cannot be reached" if release else "no official release fits this platform"
    if go:
        return "build", f"Pulumi {VERSION}, built with {go} ({fault}, and {obstacle})"
    raise SetupError(
        f"No Pulumi engine: {fault}, {obstacle}, and there is no Go to build it with.\n"
        f"{INSTALL_GO}, or Pulumi {VERSION} or a later 3.x (https://www.pulumi.com/docs/install/);\n"
        "then run: make setup"
    )


def own_engine(pins: str, fault: str, environ: Mapping[str, str]) -> str:
    """Makes the engine, unless it is there and was made from the same pins; returns why it is this one."""
    made = read_record(ENGINE / "made.json")
    if made.get("pins") != pins:
        with made_aside(ENGINE) as folder:
            made = {"pins": pins, "why": _fill(folder, fault, environ)}
            write_record(folder / "made.json", made)
    return made["why"]


def _fill(folder: Path, fault: str, environ: Mapping[str, str]) -> str:
    release = download.release_platform()
    go = find("go", environ.get("PATH"), GO_FOLDERS)
    kind, why = choose(fault, release, download.reachable, go)
    if kind == "download" and release:
        say(f"downloading Pulumi {VERSION}")
        try:
            download.release_into(folder, VERSION, release)
        except download.NotToBeHad as error:
            say(f"the download failed: {error}")
            kind, why = choose(fault, release, lambda: False, go)
    if kind == "build" and go:
        build_into(folder, go, environ)
    return why


def build_into(folder: Path, go: str, environ: Mapping[str, str]) -> None:
    """Builds the engine and its Python host from their pinned modules."""
    say(f"building the Pulumi engine with {go}: once, 4 to 8 minutes on 2 processors, 4 GB in Go's caches")
    env = {**environ, **GO_ENVIRONMENT}
    for what, module, package in (
        ("building the Python language host", "language", HOST_PACKAGE),
        ("building the Pulumi engine", "pulumi", ENGINE_PACKAGE),
    ):
        command = [go, *GO_BUILD, "-ldflags", LINKER_FLAGS, "-o", str(folder), package]
        run_logged(what, command, cwd=SOURCES / module, env=env, remedy=f"{INSTALL_GO}, then: make setup")
    where = [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", HOST_MODULE]
    source = subprocess.check_output(where, cwd=SOURCES / "language", env=env, text=True).strip()
    for script in HOST_SCRIPTS:
        shutil.copy(Path(source, script), folder)
        (folder / Path(script).name).chmod(0o755)
