"""Locks the requirements again: every package with its version and its hashes, for all platforms."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from tools.setup.paths import ROOT
from tools.setup.venv import uv_program

FILES = {
    "requirements.in": "requirements.txt",
    "requirements-dev.in": "requirements-dev.txt",
    "policy/requirements.in": "policy/requirements.txt",
    "tools/setup/uv.in": "tools/setup/uv.txt",
    "host/certificates/certbot.in": "host/certificates/certbot.txt",
}


def lock(environ: Mapping[str, str]) -> int:
    """Writes the requirements files and returns the exit status of the first uv that fails, else 0."""
    compile_file = [uv_program(environ), "pip", "compile", "--quiet", "--upgrade", "--universal"]
    compile_file += ["--generate-hashes", "--no-annotate", "--python-version", "3.11"]
    for source, locked in FILES.items():
        command = [*compile_file, "--custom-compile-command", "make lock", source, "-o", locked]
        status = subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode
        if status != 0:
            return status
    return 0
