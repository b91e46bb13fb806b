"""What the Makefile's targets do: each prepares its stack and runs the engine.

In this module a `command` is a target of the Makefile, and a `target` is where a stack's servers come from.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tools.recover import command as recovering
from tools.setup import backend, failure
from tools.setup.debian_packages import LOCAL_TARGET, TESTS, install_packages
from tools.setup.engine_env import for_command
from tools.setup.engine_events import VARIABLES, events
from tools.setup.installation import set_up, set_up_policy
from tools.setup.paths import POLICY_PACK, ROOT, VENV
from tools.setup.report import SetupError, say

ARGUMENTS = {
    "up": ["up", "--yes", "--skip-preview"],
    "preview": ["preview", "--diff"],
    "destroy": ["destroy", "--yes", "--skip-preview"],
}
HELP = {
    "up": "bring the stack to its configuration, and print its URL",
    "preview": "show what `up` would change",
    "destroy": "delete everything in the stack",
}
# The provider of these targets can't delete what was deleted manually. A refresh tells the engine first.
NEEDS_REFRESH = {"digitalocean"}


def target_of(stack: str, folder: Path = ROOT, config_file: str | None = None) -> str:
    """Where the stack's servers come from: `local`, or the name of a cloud."""
    config = Path(config_file) if config_file else folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"
    return backend.target_in(config.read_text() if config.is_file() else "")


def is_local(stack: str, folder: Path = ROOT, config_file: str | None = None) -> bool:
    """Whether the stack's servers are machines on this computer."""
    return target_of(stack, folder, config_file) == "local"


def root_fault(command: str, stack: str, local: bool, user: int) -> str | None:
    """Why this user can't run the command, or None."""
    if not local or user == 0:
        return None
    remedy = f"sudo {backend.make(command, stack)}"
    return f'The stack "{stack}" makes machines on this computer, which needs root. Run: {remedy}'


def words_of(command: str, stack: str, target: str) -> list[str]:
    """The engine's arguments. For a cloud, the policy pack checks everything that is going to be created."""
    options = ["--stack", stack]
    if target == "local":
        return [*ARGUMENTS[command], *options]
    # Only a preview reports protected resources, and violated rules about the whole stack, before any change.
    words = [word for word in ARGUMENTS[command] if word != "--skip-preview"]
    if command == "destroy":
        return [*words, *(["--refresh"] if target in NEEDS_REFRESH else []), *options]
    return [*words, *options, "--policy-pack", str(POLICY_PACK)]


def run(command: str, stack: str, environ: Mapping[str, str]) -> int:
    """Sets up what the stack needs, creates the stack if necessary, and runs the engine. Returns the exit status."""
    env = for_command([command, "--stack", stack], environ)
    target = target_of(stack)
    local = target == "local"
    if fault := root_fault(command, stack, local=local, user=os.geteuid()):
        raise SetupError(fault)
    if local:
        install_packages(LOCAL_TARGET, environ)
    pulumi = str(set_up(environ).program)
    select = [pulumi, "stack", "select", "--create", "--stack", stack]
    words = words_of(command, stack, target)
    if str(POLICY_PACK) in words:
        set_up_policy(environ)
    if status := run_in_foreground(select, env):
        return status
    return _up([pulumi, *words], stack, env) if command == "up" else run_in_foreground([pulumi, *words], env)


def _up(words: list[str], stack: str, env: Mapping[str, str]) -> int:
    """Runs `up`. At the end it prints the URL, or what failed and how to go on."""
    with events() as engine:
        status = run_in_foreground([*words, *engine.options], {**env, **VARIABLES})
    last_lines = failure.summary(failure.failures(engine.diagnostics), stack) if status else _url(words[0], stack, env)
    if last_lines:
        print(f"\n{last_lines}", flush=True)
    return status


def recover(stack: str, environ: Mapping[str, str], config_file: str | None = None) -> int:
    """Repairs the stack's state after a killed `up`, so that state and cloud agree. Returns the exit status."""
    env = for_command(["refresh", "--stack", stack], environ)
    if fault := root_fault("recover", stack, local=is_local(stack, config_file=config_file), user=os.geteuid()):
        raise SetupError(fault)
    program = str(set_up(environ).program)
    url = backend.chosen_backend(env, backend.project_file(ROOT), Path(env["PULUMI_CREDENTIALS_PATH"]))
    for sidecar in backend.remove_empty_sidecars(url or "", stack):
        say(f"removed {sidecar}: it was empty, and the engine couldn't read the state beside it")
    return recovering.recover(recovering.Pulumi(program=program, stack=stack, env=env, config_file=config_file))


def test(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Runs pytest and returns its exit status.

    In CI no test may be skipped. There, all Debian packages that tests need are installed first.
    """
    if environ.get("CI") == "true":
        install_packages(TESTS, environ)
    elif os.geteuid() == 0:
        install_packages(LOCAL_TARGET, environ)
    set_up(environ, development=True)
    # The whole suite takes almost an hour, and much of it waits for machines. More processes use that time.
    words = arguments or ["--numprocesses", "3"]
    return run_in_foreground([str(VENV / "bin" / "python"), "-m", "pytest", *words], environ)


def run_in_foreground(command: list[str], env: Mapping[str, str]) -> int:
    """The exit status of the command, which gets Ctrl-C itself and has all the time it needs to save its state.

    subprocess.run would kill it a quarter of a second after Ctrl-C.
    """
    previous = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        return subprocess.Popen(command, cwd=ROOT, env=env).wait()
    finally:
        signal.signal(signal.SIGINT, previous)


def _url(pulumi: str, stack: str, env: Mapping[str, str]) -> str | None:
    command = [pulumi, "stack", "output", "--json", "--stack", stack]
    result = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    url = cast("dict[str, object]", json.loads(result.stdout)).get("url")
    return str(url) if url else None
