"""The project's virtual environment, from requirements files that are locked with hashes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.setup.files import digest, made_aside, read_record, write_record
from tools.setup.packages import install_packages
from tools.setup.paths import OWN_UV, POLICY_VENV, ROOT, VENV
from tools.setup.programs import find, first_line_of, run_logged
from tools.setup.report import say

RUNTIME = ROOT / "requirements.txt"
DEVELOPMENT = ROOT / "requirements-dev.txt"
POLICY = ROOT / "policy" / "requirements.txt"
UV_LOCK = ROOT / "tools" / "setup" / "uv.txt"
OLDEST_UV = (0, 5, 0)
RECORD = "gantry.json"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def new_enough(said: str) -> bool:
    """Whether `uv --version` said a version that can do what is asked of it here."""
    words = said.split()
    try:
        return tuple(int(number) for number in words[1].split(".")[:3]) >= OLDEST_UV
    except (IndexError, ValueError):
        return False


def wanted(development: bool, made: Mapping[str, str]) -> list[Path]:
    """The files to install; the tools, once installed, stay when only the runtime is asked for."""
    return [RUNTIME, DEVELOPMENT] if development or DEVELOPMENT.name in made else [RUNTIME]


def is_current(development: bool, made: Mapping[str, str]) -> bool:
    files = [RUNTIME, DEVELOPMENT] if development else [RUNTIME]
    return all(made.get(file.name) == digest([file]) for file in files)


def ready(development: bool) -> bool:
    return is_current(development, read_record(VENV / RECORD)) and (VENV / "bin" / "python").exists()


def make(development: bool, environ: Mapping[str, str]) -> None:
    install(VENV, wanted(development, read_record(VENV / RECORD)), environ)


def make_for_policy(environ: Mapping[str, str]) -> None:
    """The policy pack's environment, unless it is current: its SDK asks for other versions than the project's."""
    if read_record(POLICY_VENV / RECORD).get(POLICY.name) != digest([POLICY]):
        install(POLICY_VENV, [POLICY], environ)


def install(venv: Path, files: Sequence[Path], environ: Mapping[str, str]) -> None:
    """Makes the environment anew from these files, whole or not at all."""
    uv = uv_program(environ)
    say(f"installing {' and '.join(str(file.relative_to(ROOT)) for file in files)} with {uv}")
    env = for_installers(environ)
    with made_aside(venv) as folder:
        create = [uv, "venv", "--seed", "--relocatable", "--python", sys.executable, "--prompt", "gantry"]
        run_logged("making the virtual environment", [*create, str(folder)], env=env)
        command = [uv, "pip", "install", "--require-hashes", "--compile-bytecode"]
        command += ["--python", str(folder / "bin" / "python")]
        for file in files:
            command += ["-r", str(file)]
        run_logged("installing the Python packages", command, env=env)
        write_record(folder / RECORD, {file.name: digest([file]) for file in files})


def for_installers(environ: Mapping[str, str]) -> dict[str, str]:
    """Trusting the certificates that this computer trusts, where pip and uv would bring their own list."""
    env = {
        "UV_SYSTEM_CERTS": "true",
        # Its older name.
        "UV_NATIVE_TLS": "true",
        **environ,
        # An interpreter of uv's own would come from a server that is not needed otherwise.
        "UV_PYTHON_DOWNLOADS": "never",
    }
    if CERTIFICATES.exists():
        env.setdefault("PIP_CERT", str(CERTIFICATES))
    return env


def uv_program(environ: Mapping[str, str]) -> str:
    """The uv on PATH if it is new enough, else the pinned one, installed by pip into a folder of its own."""
    found = find("uv", environ.get("PATH"))
    if found and new_enough(first_line_of([found, "--version"])):
        return found
    own = OWN_UV / "bin" / "uv"
    if read_record(OWN_UV / RECORD).get("lock") != digest([UV_LOCK]) or not os.access(own, os.X_OK):
        install_packages([("ensurepip", "python3-venv")], environ, _is_importable)
        with made_aside(OWN_UV) as folder:
            run_logged("making an environment for uv", [sys.executable, "-m", "venv", str(folder)])
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--require-hashes"]
            run_logged("installing uv", [*pip, "-r", str(UV_LOCK)], env=for_installers(environ))
            write_record(folder / RECORD, {"lock": digest([UV_LOCK])})
    return str(own)


def _is_importable(module: str) -> bool:
    return bool(first_line_of([sys.executable, "-c", f"import {module}, venv; print('yes')"]))
