"""What the Makefile's targets do: each brings its stack to where it can work, and runs the engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tools.recover import command as recovering
from tools.setup import backend
from tools.setup.environment import for_command, set_up, set_up_policy
from tools.setup.packages import LOCAL_TARGET, TESTS, install_packages
from tools.setup.paths import POLICY_PACK, ROOT, VENV
from tools.setup.report import SetupError, say

COMMANDS = {
    "up": ["up", "--yes", "--skip-preview"],
    "preview": ["preview", "--diff"],
    "destroy": ["destroy", "--yes", "--skip-preview"],
}


# Whose provider fails where it is to delete what was deleted by hand: the engine must hear of that first.
UNFORGIVING = {"digitalocean"}


def place_of(stack: str, folder: Path = ROOT, config_file: str | None = None) -> str:
    """Where the stack's machines are: local, or which cloud."""
    config = Path(config_file) if config_file else folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"
    return backend.target_in(config.read_text() if config.is_file() else "")


def is_local(stack: str, folder: Path = ROOT, config_file: str | None = None) -> bool:
    """Whether the stack's machines are on this computer."""
    return place_of(stack, folder, config_file) == "local"


def root_fault(target: str, stack: str, local: bool, user: int) -> str | None:
    """Why this user cannot run the target, or nothing."""
    if not local or user == 0:
        return None
    again = f"sudo {backend.make(target, stack)}"
    return f'The stack "{stack}" makes machines on this computer, which needs root. Run: {again}'


def words_of(target: str, stack: str, place: str) -> list[str]:
    """What the engine is asked; what a cloud is about to get must keep the policy pack's promises."""
    chosen = ["--stack", stack]
    if place == "local":
        return [*COMMANDS[target], *chosen]
    # Only a preview finds in time what is protected, and what breaks a rule over the whole stack.
    words = [word for word in COMMANDS[target] if word != "--skip-preview"]
    if target == "destroy":
        return [*words, *(["--refresh"] if place in UNFORGIVING else []), *chosen]
    return [*words, *chosen, "--policy-pack", str(POLICY_PACK)]


def run(target: str, stack: str, environ: Mapping[str, str]) -> int:
    """Sets up what the stack needs, makes the stack if there is none yet, and runs the engine on it."""
    env = for_command([target, "--stack", stack], environ)
    place = place_of(stack)
    local = place == "local"
    if fault := root_fault(target, stack, local, os.geteuid()):
        raise SetupError(fault)
    if local:
        install_packages(LOCAL_TARGET, environ)
    pulumi = str(set_up(environ).program)
    select = [pulumi, "stack", "select", "--create", "--stack", stack]
    words = words_of(target, stack, place)
    if str(POLICY_PACK) in words:
        set_up_policy(environ)
    command = [pulumi, *words]
    code = _code_of(select, env) or _code_of(command, env)
    if target == "up" and code == 0 and (url := _url(pulumi, stack, env)):
        print(f"\n{url}", flush=True)
    return code


def recover(stack: str, environ: Mapping[str, str], config_file: str | None = None) -> int:
    """After a kill of `up`: brings the stack's state and its cloud back together."""
    env = for_command(["refresh", "--stack", stack], environ)
    if fault := root_fault("recover", stack, is_local(stack, config_file=config_file), os.geteuid()):
        raise SetupError(fault)
    program = str(set_up(environ).program)
    kept = backend.chosen_backend(env, backend.project_file(ROOT), Path(env["PULUMI_CREDENTIALS_PATH"]))
    for sidecar in backend.without_empty_sidecars(kept or "", stack):
        say(f"{sidecar} was left empty: removed, since nothing could be read beside it")
    return recovering.recover(recovering.Pulumi(program=program, stack=stack, env=env, config_file=config_file))


def test(arguments: list[str], environ: Mapping[str, str]) -> int:
    """All suites. In CI nothing may be skipped, so there all that they need of the system is installed."""
    if environ.get("CI") == "true":
        install_packages(TESTS, environ)
    elif os.geteuid() == 0:
        install_packages(LOCAL_TARGET, environ)
    set_up(environ, development=True)
    # All of them take half an hour, most of it waiting for machines: the others are done beside that.
    words = arguments or ["--numprocesses", "2"]
    return _code_of([str(VENV / "bin" / "python"), "-m", "pytest", *words], environ)


def _code_of(command: list[str], env: Mapping[str, str]) -> int:
    """The exit status of a command in the foreground. Ctrl-C reaches it too, and it may need time to save its state:
    it isn't ended from here, as subprocess.run would do a quarter of a second later."""
    previous = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        return subprocess.Popen(command, cwd=ROOT, env=env).wait()
    finally:
        signal.signal(signal.SIGINT, previous)


def _url(pulumi: str, stack: str, env: Mapping[str, str]) -> str | None:
    command = [pulumi, "stack", "output", "--json", "--stack", stack]
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    url = cast("dict[str, object]", json.loads(done.stdout)).get("url")
    return str(url) if url else None
