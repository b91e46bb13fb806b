"""Builds the Pulumi engine and its Python language host from pinned Go modules."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.offline import go
from tools.setup.paths import ENGINE_MODULES
from tools.setup.report import say

ENGINE_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
# Version 3.79.0 of the SDK's Go module is the last one with the language host and its helper scripts.
HOST_MODULE = "github.com/pulumi/pulumi/sdk/v3"
HOST_PACKAGE = f"{HOST_MODULE}/python/cmd/pulumi-language-python"
HOST_SCRIPTS = (
    "python/cmd/pulumi-language-python-exec",
    "python/dist/pulumi-resource-pulumi-python",
    "python/dist/pulumi-analyzer-policy-python",
)


def build_into(folder: Path, version: str, compiler: str, environ: Mapping[str, str]) -> None:
    """Fills the folder with the engine, its language host and the host's helper scripts.

    `compiler` is the path of Go. A change of this recipe must raise RECIPE in tools/setup/engine.py.
    """
    say(f"building the Pulumi engine with {compiler}: once, 4 to 8 minutes on 2 processors, 4 GB in Go's caches")
    linker_flags = f"-s -w -X {HOST_MODULE}/go/common/version.Version=v{version}"
    for activity, module, package in (
        ("building the Python language host", "language", HOST_PACKAGE),
        ("building the Pulumi engine", "pulumi", ENGINE_PACKAGE),
    ):
        go.build(
            activity,
            package,
            go=compiler,
            module=ENGINE_MODULES / module,
            out=folder,
            environ=environ,
            flags=("-ldflags", linker_flags),
            remedy=f"{go.INSTALL_GO}, then: make setup",
        )
    _copy_host_scripts(folder, compiler, environ)


def _copy_host_scripts(folder: Path, compiler: str, environ: Mapping[str, str]) -> None:
    locate = [compiler, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", HOST_MODULE]
    env = {**environ, **go.BUILD_ENV}
    source = subprocess.check_output(locate, cwd=ENGINE_MODULES / "language", env=env, text=True).strip()
    for script in HOST_SCRIPTS:
        shutil.copy(Path(source, script), folder)
        (folder / Path(script).name).chmod(0o755)
