"""The environment that the engine runs in, and the set-up of what it needs."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.setup import arguments, backend, engine, plugin, python_env
from tools.setup.files import only_one
from tools.setup.paths import ACTIONLINT, ENGINE, GENERATED, LOCAL_STATE, LOGS, OWN_UV, POLICY_VENV, ROOT, VENV


def users_own(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment to start from; under sudo with root's HOME, not the caller's."""
    own = dict(environ)
    if os.geteuid() == 0 and "SUDO_USER" in own:
        own["HOME"] = pwd.getpwuid(0).pw_dir
    return own


def give_back(environ: Mapping[str, str]) -> None:
    """After sudo, gives what was set up to the checkout's owner, who could not renew it otherwise."""
    owner = ROOT.stat()
    if os.geteuid() != 0 or "SUDO_USER" not in environ or owner.st_uid == 0 or not GENERATED.exists():
        return
    for folder in (ACTIONLINT, ENGINE, VENV, POLICY_VENV, OWN_UV, LOGS, GENERATED / "pulumi"):
        for place, folders, files in os.walk(folder):
            for name in (".", *folders, *files):
                os.chown(Path(place, name), owner.st_uid, owner.st_gid, follow_symlinks=False)
    for file in (GENERATED, *GENERATED.glob("*.json"), *GENERATED.glob("lock")):
        os.chown(file, owner.st_uid, owner.st_gid)


def for_engine(environ: Mapping[str, str]) -> dict[str, str]:
    """With this checkout's engine, plugins and virtual environment, and the user's own login."""
    credentials = backend.login_folder(environ, Path(environ.get("HOME") or "~").expanduser())
    path = [str(VENV / "bin"), str(ENGINE), environ.get("PATH", os.defpath)]
    env = {
        "PULUMI_HOME": str(GENERATED / "pulumi"),
        "PULUMI_CREDENTIALS_PATH": str(credentials),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        **environ,
        "PATH": os.pathsep.join(path),
        "VIRTUAL_ENV": str(VENV),
    }
    # Where the set-up could not download a plugin, the engine's own five tries would only take their time.
    if plugin.record_for(env).get("source") == "ours":
        env.setdefault("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true")
    return env


def set_up(environ: Mapping[str, str], *, development: bool = False, retry: bool = False) -> engine.Engine:
    """Makes what is missing and returns the engine; with everything there it only compares digests."""
    found = engine.ready(environ)
    for_plugin = for_engine(environ)
    if found and python_env.ready(development) and plugin.ready(for_plugin) and not retry:
        return found
    with only_one(GENERATED / "lock"):
        found = engine.ready(environ) or engine.make(environ)
        if not python_env.ready(development):
            python_env.make(development, environ)
        if retry or not plugin.ready(for_plugin):
            plugin.make(found, for_plugin, retry=retry)
    return found


def set_up_policy(environ: Mapping[str, str]) -> None:
    """Makes the policy pack's environment, if it is missing or out of date."""
    with only_one(GENERATED / "lock"):
        python_env.make_for_policy(environ)


def for_command(words: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for this command line, with the backend of the stack that it means."""
    env = for_engine(environ)
    asked = arguments.read(words)
    if not asked.needs_backend:
        return env
    project = backend.project_file(Path(asked.folder or ".").resolve())
    chosen = backend.chosen_backend(env, project, Path(env["PULUMI_CREDENTIALS_PATH"]))
    local = backend.in_folder(LOCAL_STATE)
    stack = (
        asked.stack
        or env.get("PULUMI_STACK")
        or backend.selected_stack(Path(env["PULUMI_HOME"]), project, chosen or local)
        or backend.DEV
    )
    added = backend.defaults(stack, chosen, local, env)
    if added.get("PULUMI_BACKEND_URL") == local:
        # The dev stack's passphrase is empty: who can read its state has its keys.
        LOCAL_STATE.mkdir(parents=True, exist_ok=True)
        LOCAL_STATE.chmod(0o700)
    return env | added | plugins_of(stack, project, env)


def plugins_of(stack: str, project: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """The engine gets the plugin of every SDK that is installed; a stack on this computer needs no cloud's."""
    file = project.with_name(f"Pulumi.{stack.rpartition('/')[2]}.yaml") if project else None
    if file is None or not file.is_file() or backend.target_in(file.read_text()) != "local":
        return {}
    key = "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"
    return {key: environ.get(key, "true")}
