"""Checks the workflows with actionlint, which is built once from the Go module proxy."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from tools.setup.files import digest, made_aside, only_one, read_record, write_record
from tools.setup.own_engine import GO_BUILD, GO_ENVIRONMENT, GO_FOLDERS, INSTALL_GO
from tools.setup.paths import ACTIONLINT, GENERATED, ROOT, VENV
from tools.setup.programs import find, run_logged
from tools.setup.report import SetupError, say

SOURCES = ROOT / "tools" / "actionlint"
PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"
RECORD = "made.json"


def check(environ: Mapping[str, str]) -> int:
    """The exit status of actionlint; where there is no Go to build it with, only CI insists."""
    try:
        with only_one(GENERATED / "lock"):
            _make(environ)
    except SetupError as error:
        if environ.get("CI") == "true":
            raise
        say(f"the workflows were not checked. {error}")
        return 0
    # It asks shellcheck about the scripts in the workflows, if it finds one.
    env = {**environ, "PATH": os.pathsep.join([str(VENV / "bin"), environ.get("PATH", os.defpath)])}
    return subprocess.run([str(ACTIONLINT / "actionlint")], cwd=ROOT, env=env, check=False).returncode


def _make(environ: Mapping[str, str]) -> None:
    pins = digest([SOURCES / "go.mod", SOURCES / "go.sum"])
    if read_record(ACTIONLINT / RECORD).get("pins") == pins:
        return
    go = find("go", environ.get("PATH"), GO_FOLDERS)
    if go is None:
        raise SetupError(f"There is no Go to build actionlint with. {INSTALL_GO}.")
    env = {**environ, **GO_ENVIRONMENT}
    with made_aside(ACTIONLINT) as folder:
        build = [go, *GO_BUILD, "-o", str(folder), PACKAGE]
        run_logged("building actionlint", build, cwd=SOURCES, env=env, remedy=INSTALL_GO)
        write_record(folder / RECORD, {"pins": pins})
