"""Locks the requirements anew: every package with its version and its hashes, for all platforms."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from tools.setup.paths import ROOT
from tools.setup.python_env import uv_program

FILES = {
    "requirements.in": "requirements.txt",
    "requirements-dev.in": "requirements-dev.txt",
    "policy/requirements.in": "policy/requirements.txt",
    "tools/setup/uv.in": "tools/setup/uv.txt",
}


def lock(environ: Mapping[str, str]) -> int:
    compile_file = [uv_program(environ), "pip", "compile", "--quiet", "--upgrade", "--universal"]
    compile_file += ["--generate-hashes", "--no-annotate", "--python-version", "3.11"]
    for source, locked in FILES.items():
        command = [*compile_file, "--custom-compile-command", "make lock", source, "-o", locked]
        code = subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode
        if code != 0:
            return code
    return 0
