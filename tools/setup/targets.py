"""What the Makefile's targets do: each prepares its stack and runs the engine.

In this module a `command` is a target of the Makefile, and a `target` is where a stack's servers come from.
"""

from __future__ import annotations

import difflib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from components.local.volume_store import DELETE_STORAGE
from tools.recover import command as recovering
from tools.setup import backend, certificate_check, failure, lost_data, site_check, stack_state
from tools.setup.debian_packages import LOCAL_TARGET, TESTS, install_packages
from tools.setup.engine_env import for_command
from tools.setup.engine_events import VARIABLES, events
from tools.setup.installation import set_up, set_up_policy
from tools.setup.paths import GENERATED, POLICY_PACK, ROOT, VENV
from tools.setup.report import SetupError, say

BACKEND = "PULUMI_BACKEND_URL"
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


def config_file(stack: str, folder: Path = ROOT) -> Path:
    """The stack's settings file in the project's folder."""
    return folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"


def target_of(stack: str, folder: Path = ROOT, file: str | None = None) -> str:
    """Where the stack's servers come from: `local`, or the name of a cloud."""
    config = Path(file) if file else config_file(stack, folder)
    return backend.target_in(config.read_text() if config.is_file() else "")


def is_local(stack: str, folder: Path = ROOT, file: str | None = None) -> bool:
    """Whether the stack's servers are machines on this computer."""
    return target_of(stack, folder, file) == "local"


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


def variables_of(command: str, target: str) -> dict[str, str]:
    """The variables with which the providers do the command. In a cloud the state protects a volume instead."""
    return {DELETE_STORAGE: "true"} if (command, target) == ("destroy", "local") else {}


def run(command: str, stack: str, environ: Mapping[str, str], file: str | None = None) -> int:
    """Sets up what the stack needs, creates the stack if necessary, and runs the engine. Returns the exit status.

    A stack whose settings are in another ``file`` must exist.
    """
    target = target_of(stack, file=file)
    env = env_for(command, stack, environ, file) | variables_of(command, target)
    local = target == "local"
    if fault := root_fault(command, stack, local=local, user=os.geteuid()):
        raise SetupError(fault)
    if local:
        install_packages(LOCAL_TARGET, environ)
    pulumi = str(set_up(environ).program)
    words = words_of(command, stack, target)
    if str(POLICY_PACK) in words:
        set_up_policy(environ)
    if file:
        words += ["--config-file", file]
    elif status := select_stack(pulumi, stack, env):
        return status
    if command == "destroy":
        lost_data.announce([pulumi], stack, env)
    if command == "up":
        deployment = stack_state.read([pulumi], stack, env)
        lost_data.require_no_loss([pulumi], stack, env, deployment)
        if target in NEEDS_REFRESH:
            recovering.require_assigned_address(
                recovering.Pulumi(program=pulumi, stack=stack, env=env, config_file=file), deployment
            )
    try:
        status = _up([pulumi, *words], stack, env) if command == "up" else run_in_foreground([pulumi, *words], env)
    except (OSError, subprocess.CalledProcessError):
        if Path(pulumi).exists():
            raise
        status = 1
    if status and not Path(pulumi).exists():
        raise SetupError(deleted_folder(stack, local=local, has_state=is_below(env.get(BACKEND, ""), GENERATED)))
    return status


def env_for(command: str, stack: str, environ: Mapping[str, str], file: str | None) -> dict[str, str]:
    """The engine's variables for a command. Raises SetupError for a stack that has neither settings nor a backend."""
    try:
        return for_command([command, "--stack", stack], environ)
    except SetupError:
        # Without settings, the missing backend isn't the first mistake to mention: the name may be a typing mistake.
        if file or config_file(stack).is_file():
            raise
        raise SetupError(unknown_stack(stack, lacks="settings here nor a backend that could have its state")) from None


def is_below(url: str, folder: Path) -> bool:
    """Whether a backend keeps its states in this folder."""
    return url.startswith(f"{folder.as_uri()}/")


def deleted_folder(stack: str, *, local: bool, has_state: bool) -> str:
    """The error after somebody has deleted .gantry while the engine ran. ``has_state``: the stack's state was there."""
    lines = ["The folder .gantry was deleted while this command ran. The engine and its plugins were in it."]
    if not has_state:
        return "\n".join([*lines, "Run these:", "  make setup", f"  {backend.make('recover', stack)}"])
    lines += [f'So was the state of the stack "{stack}": Gantry no longer knows what belongs to it.']
    if local:
        lines += ["List the machines and networks of this computer, and delete those of the stack:"]
        lines += [f"  sudo python3 -m components.local {words}" for words in ("list", "destroy ID")]
    else:
        lines += [f"Look for resources with the stack's name, {stack}, in the cloud, and delete them there."]
    return "\n".join([*lines, "Then begin again:", f"  {backend.make('up', stack)}"])


def select_stack(pulumi: str, stack: str, env: Mapping[str, str], folder: Path = ROOT) -> int:
    """Selects the stack, and creates one that has a settings file. Returns the exit status.

    Raises SetupError for a stack that has neither a settings file nor a state: its name may be a typing mistake.
    """
    if is_selected(stack, env, folder):
        return 0
    select = [pulumi, "stack", "select", "--stack", stack]
    if config_file(stack, folder).is_file():
        return run_in_foreground([*select, "--create"], env)
    result = subprocess.run([*select, "--non-interactive"], cwd=folder, env=env, capture_output=True, text=True)
    if result.returncode != 0 and "no stack named" in result.stderr:
        raise SetupError(unknown_stack(stack, folder))
    print(result.stderr, end="", file=sys.stderr)
    return result.returncode


def is_selected(stack: str, env: Mapping[str, str], folder: Path = ROOT) -> bool:
    """Whether the stack exists and is selected already. For other backends than a folder, only the engine knows it.

    The engine would need a quarter of a second to select it again.
    """
    url, project = env.get(BACKEND, ""), folder / "Pulumi.yaml"
    file = backend.state_file(url, project, stack)
    if file is None or not file.is_file():
        return False
    selected = backend.selected_stack(Path(env["PULUMI_HOME"]), project, url) or ""
    return selected.rpartition("/")[2] == stack.rpartition("/")[2]


def unknown_stack(stack: str, folder: Path = ROOT, *, lacks: str = "") -> str:
    """The error about a stack that doesn't exist, with the stacks whose names are similar, and how to create it."""
    lacks = lacks or f"a state nor a {config_file(stack, folder).name}"
    names = [file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in sorted(folder.glob("Pulumi.*.yaml"))]
    similar = difflib.get_close_matches(stack.rpartition("/")[2], names) or names
    meant = f"\nThese stacks have settings here: {', '.join(similar)}" if similar else ""
    return (
        f'There is no stack "{stack}": it has neither {lacks}.{meant}\n'
        f"To create it: bin/pulumi stack init {stack}\n"
        f"Then choose its settings, such as: bin/pulumi config set target aws --stack {stack}"
    )


def _up(words: list[str], stack: str, env: Mapping[str, str]) -> int:
    """Runs `up`. At the end it prints the URL, or what failed and how to go on."""
    with events() as engine:
        status = run_in_foreground([*words, *engine.options], {**env, **VARIABLES, **lost_data.VARIABLES})
    if status:
        last_lines = [failure.summary(failure.failures(engine.diagnostics), stack)]
    else:
        outputs = engine.outputs or _outputs(words[0], stack, env)
        status, last_lines = _check_site(words[0], stack, env, outputs=outputs)
    if text := "\n".join(filter(None, last_lines)):
        print(f"\n{text}", flush=True)
    return status


def _check_site(
    pulumi: str, stack: str, env: Mapping[str, str], *, outputs: Mapping[str, Any]
) -> tuple[int, list[str]]:
    """Asks for the site. Returns the exit status, and the last lines: its URL, or what is broken."""
    url = str(outputs.get("url") or "")
    site = site_check.site_of(outputs)
    if site is None:
        return 0, [url]
    answers, lines = site_check.check(
        site,
        stack,
        machines=lambda: site_check.machines_of(outputs),
        look=lambda machine: site_check.over_ssh(_outputs(pulumi, stack, env, "--show-secrets"))(machine),
    )
    if not answers:
        return 1, lines
    first = site_check.machines_of(outputs)[0]
    lines.append(
        certificate_check.warning(
            site,
            stack,
            first.name,
            last_error=lambda: certificate_check.error_of(first, _outputs(pulumi, stack, env, "--show-secrets")),
        )
    )
    return 0, [*lines, url]


def recover(stack: str, environ: Mapping[str, str], file: str | None = None) -> int:
    """Repairs the stack's state after a killed `up`, so that state and cloud agree. Returns the exit status."""
    env = env_for("refresh", stack, environ, file)
    if fault := root_fault("recover", stack, local=is_local(stack, file=file), user=os.geteuid()):
        raise SetupError(fault)
    program = str(set_up(environ).program)
    url = backend.chosen_backend(env, backend.project_file(ROOT), Path(env["PULUMI_CREDENTIALS_PATH"]))
    for sidecar in backend.remove_empty_sidecars(url or "", stack):
        say(f"removed {sidecar}: it was empty, and the engine couldn't read the state beside it")
    return recovering.recover(recovering.Pulumi(program=program, stack=stack, env=env, config_file=file))


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
    words = arguments or ["--numprocesses", "4"]
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


def _outputs(pulumi: str, stack: str, env: Mapping[str, str], *words: str) -> dict[str, Any]:
    command = [pulumi, "stack", "output", "--json", "--stack", stack, *words]
    result = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    return cast("dict[str, Any]", json.loads(result.stdout))
