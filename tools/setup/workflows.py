"""Checks the workflows with actionlint, which is built once from the Go module proxy."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from tools.offline.go import INSTALL_GO, build, find_go
from tools.setup.files import atomic_folder, digest, exclusive, read_record, write_record
from tools.setup.paths import ACTIONLINT, LOCK, ROOT, VENV
from tools.setup.report import SetupError, say

GO_MODULE = ROOT / "tools" / "actionlint"
PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"
RECORD = "made.json"


def check(environ: Mapping[str, str]) -> int:
    """The exit status of actionlint. If it can't be built, that is an error only in CI."""
    try:
        with exclusive(LOCK):
            _install_actionlint(environ)
    except SetupError as error:
        if environ.get("CI") == "true":
            raise
        say(f"the workflows were not checked. {error}")
        return 0
    # actionlint checks the scripts in the workflows with the shellcheck on PATH.
    env = {**environ, "PATH": os.pathsep.join([str(VENV / "bin"), environ.get("PATH", os.defpath)])}
    return subprocess.run([str(ACTIONLINT / "actionlint")], cwd=ROOT, env=env, check=False).returncode


def _install_actionlint(environ: Mapping[str, str]) -> None:
    pins = digest([GO_MODULE / "go.mod", GO_MODULE / "go.sum"])
    if read_record(ACTIONLINT / RECORD).get("pins") == pins:
        return
    go = find_go(environ)
    if go is None:
        raise SetupError(f"There is no Go to build actionlint with. {INSTALL_GO}.")
    with atomic_folder(ACTIONLINT) as folder:
        build("building actionlint", PACKAGE, go=go, module=GO_MODULE, out=folder, environ=environ)
        write_record(folder / RECORD, {"pins": pins})
