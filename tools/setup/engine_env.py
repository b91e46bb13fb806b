"""The variables that the engine runs with."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.setup import arguments, backend, plugin
from tools.setup.paths import ENGINE, LOCAL_STATE, PULUMI_HOME, ROOT, VENV

NO_DOWNLOADS = "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"


def for_setup(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the caller. Under sudo, HOME is root's and not the caller's."""
    env = dict(environ)
    if os.geteuid() == 0 and "SUDO_USER" in env:
        env["HOME"] = pwd.getpwuid(0).pw_dir
    return env


def for_engine(environ: Mapping[str, str]) -> dict[str, str]:
    """Adds this checkout's engine, plugins and virtual environment, and the user's own login."""
    credentials = backend.login_folder(environ, Path(environ.get("HOME") or "~").expanduser())
    path = [str(VENV / "bin"), str(ENGINE), environ.get("PATH", os.defpath)]
    env = {
        "PULUMI_HOME": str(PULUMI_HOME),
        "PULUMI_CREDENTIALS_PATH": str(credentials),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        **environ,
        "PATH": os.pathsep.join(path),
        "VIRTUAL_ENV": str(VENV),
    }
    # If the set-up couldn't download a plugin, the engine can't either: its five tries would only take time.
    if plugin.is_offline(env):
        env.setdefault(NO_DOWNLOADS, "true")
    return env


def for_command(words: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables for a Pulumi command line, with the backend of the stack that it names."""
    env = for_engine(environ)
    command_line = arguments.read(words)
    if not command_line.needs_backend:
        return env
    project = backend.project_file(Path(command_line.folder or ".").resolve())
    url = backend.chosen_backend(env, project, Path(env["PULUMI_CREDENTIALS_PATH"]))
    local_url = backend.in_folder(LOCAL_STATE)
    stack = (
        command_line.stack
        or env.get("PULUMI_STACK")
        or backend.selected_stack(Path(env["PULUMI_HOME"]), project, url or local_url)
        or backend.DEV
    )
    defaults = backend.defaults(stack, url, local_url=local_url, environ=env)
    if defaults.get("PULUMI_BACKEND_URL") == local_url:
        # The dev stack's passphrase is empty: a user who can read its state has its keys.
        LOCAL_STATE.mkdir(parents=True, exist_ok=True)
        LOCAL_STATE.chmod(0o700)
    return env | defaults | plugin_downloads(stack, project, env) | import_path(project, env)


def import_path(project: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Lets a program in another folder import the components. The dynamic providers in its state need them, too."""
    if project is None or project.parent == ROOT:
        return {}
    folders = [str(ROOT), *filter(None, [environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(folders)}


def plugin_downloads(stack: str, project: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Turns plugin downloads off for a stack on this computer, unless the user has set the variable.

    The engine would get the plugin of every installed SDK, and such a stack needs no cloud's plugin.
    """
    file = project.with_name(f"Pulumi.{stack.rpartition('/')[2]}.yaml") if project else None
    if file is None or not file.is_file() or backend.target_in(file.read_text()) != "local":
        return {}
    return {NO_DOWNLOADS: environ.get(NO_DOWNLOADS, "true")}
