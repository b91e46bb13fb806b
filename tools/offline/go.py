"""Builds programs from the Go module proxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.setup.programs import find_program, run_logged

INSTALL_GO = "Install Go 1.25.11 or newer (https://go.dev/doc/install)"
# Go's installer and Debian's package use these folders, which sudo's PATH may lack.
GO_FOLDERS = ("/usr/local/go/bin", "/usr/lib/go/bin")
# The result must not depend on the path of the checkout, nor on its git state.
BUILD_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")
BUILD_ENV = {"CGO_ENABLED": "0", "GOWORK": "off"}


def find_go(environ: Mapping[str, str]) -> str | None:
    """The path of the Go compiler, or None if there is none."""
    return find_program("go", environ.get("PATH"), GO_FOLDERS)


def build(
    activity: str,
    package: str,
    *,
    go: str,
    module: Path,
    out: Path,
    environ: Mapping[str, str],
    flags: Sequence[str] = (),
    remedy: str = INSTALL_GO,
) -> None:
    """Builds the package with the versions that `module` (a folder with go.mod and go.sum) pins, into `out`."""
    command = [go, "build", *BUILD_FLAGS, *flags, "-o", str(out), package]
    run_logged(activity, command, cwd=module, env={**environ, **BUILD_ENV}, remedy=remedy)
