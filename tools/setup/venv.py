"""Creates the virtual environments, from requirements files that are locked with hashes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.setup.debian_packages import install_packages
from tools.setup.files import atomic_folder, digest, read_record, write_record
from tools.setup.paths import POLICY_VENV, ROOT, UV_VENV, VENV
from tools.setup.programs import find_program, first_line_of, run_logged
from tools.setup.report import say

RUNTIME = ROOT / "requirements.txt"
DEVELOPMENT = ROOT / "requirements-dev.txt"
POLICY = ROOT / "policy" / "requirements.txt"
UV_LOCK = ROOT / "tools" / "setup" / "uv.txt"
OLDEST_UV = (0, 5, 0)
RECORD = "gantry.json"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def new_enough(version_line: str) -> bool:
    """Whether a line of `uv --version` names a version with the options that are used here."""
    words = version_line.split()
    try:
        return tuple(int(number) for number in words[1].split(".")[:3]) >= OLDEST_UV
    except (IndexError, ValueError):
        return False


def files_to_install(development: bool, record: Mapping[str, str]) -> list[Path]:
    """The requirements files. Development tools that are installed stay, even if only the runtime is needed."""
    return [RUNTIME, DEVELOPMENT] if development or DEVELOPMENT.name in record else [RUNTIME]


def is_current(development: bool, record: Mapping[str, str]) -> bool:
    """Whether the virtual environment was made from today's requirements files."""
    files = [RUNTIME, DEVELOPMENT] if development else [RUNTIME]
    return all(record.get(file.name) == digest([file]) for file in files)


def ready(development: bool) -> bool:
    return is_current(development, read_record(VENV / RECORD)) and (VENV / "bin" / "python").exists()


def make(development: bool, environ: Mapping[str, str]) -> None:
    """Makes the project's virtual environment."""
    install(VENV, files_to_install(development, read_record(VENV / RECORD)), environ)


def make_for_policy(environ: Mapping[str, str]) -> None:
    """Makes the policy pack's virtual environment, unless it is current. Its SDK conflicts with the project's."""
    if read_record(POLICY_VENV / RECORD).get(POLICY.name) != digest([POLICY]):
        install(POLICY_VENV, [POLICY], environ)


def install(venv: Path, files: Sequence[Path], environ: Mapping[str, str]) -> None:
    """Makes the virtual environment anew from these requirements files. A failure leaves the old one in place."""
    uv = uv_program(environ)
    say(f"installing {' and '.join(str(file.relative_to(ROOT)) for file in files)} with {uv}")
    env = installer_env(environ)
    with atomic_folder(venv) as folder:
        create = [uv, "venv", "--seed", "--relocatable", "--python", sys.executable, "--prompt", "gantry"]
        run_logged("making the virtual environment", [*create, str(folder)], env=env)
        command = [uv, "pip", "install", "--require-hashes", "--compile-bytecode"]
        command += ["--python", str(folder / "bin" / "python")]
        for file in files:
            command += ["-r", str(file)]
        run_logged("installing the Python packages", command, env=env)
        write_record(folder / RECORD, {file.name: digest([file]) for file in files})


def installer_env(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables for pip and uv. They make both trust this computer's certificates, not a list of their own."""
    env = {
        "UV_SYSTEM_CERTS": "true",
        # Older versions of uv read this name.
        "UV_NATIVE_TLS": "true",
        **environ,
        # uv would download another Python from a server that nothing else needs.
        "UV_PYTHON_DOWNLOADS": "never",
    }
    if CERTIFICATES.exists():
        env.setdefault("PIP_CERT", str(CERTIFICATES))
    return env


def uv_program(environ: Mapping[str, str]) -> str:
    """The uv on PATH if it is new enough, else the pinned one, which pip installs into a folder of its own."""
    program = find_program("uv", environ.get("PATH"))
    if program and new_enough(first_line_of([program, "--version"])):
        return program
    program = str(UV_VENV / "bin" / "uv")
    if read_record(UV_VENV / RECORD).get("lock") != digest([UV_LOCK]) or not os.access(program, os.X_OK):
        _install_uv(environ)
    return program


def _install_uv(environ: Mapping[str, str]) -> None:
    install_packages([("ensurepip", "python3-venv")], environ, _is_importable)
    with atomic_folder(UV_VENV) as folder:
        run_logged("making a virtual environment for uv", [sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--require-hashes"]
        run_logged("installing uv", [*pip, "-r", str(UV_LOCK)], env=installer_env(environ))
        write_record(folder / RECORD, {"lock": digest([UV_LOCK])})


def _is_importable(module: str) -> bool:
    return bool(first_line_of([sys.executable, "-c", f"import {module}, venv; print('yes')"]))
