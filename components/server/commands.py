"""The commands that are run on a server over SSH, and the secret input of those that have one. Pure functions."""

from __future__ import annotations

import hashlib
import json
import shlex

from components.server.configuration import PATHS, Configuration
from components.settings.common import Settings
from host.health_check import DEFAULT_HOST

# The first command. It prints the server's own host key. Its script came with the user-data. The command's text must
# never change: an update would expect the first host key, which the server no longer shows.
READY = f"sudo {PATHS.scripts}/ready"
CONFIGURE = "sudo python3 -I {host_program} configure"
# After this the server no longer shows the first host key.
CONFIRM_HOST_KEY = f"sudo {PATHS.scripts}/host-key confirm"
CONFIGURE_AND_CONFIRM = f"{CONFIGURE} && {CONFIRM_HOST_KEY}"
ROLL_BACK = "sudo gantry rollback --wait {seconds}"


def release(name: str, configuration: Configuration, settings: Settings) -> str:
    """The command that makes a server serve the release ``name``. A preview shows the change of its two digests."""
    flags = ["--health", settings.health_path, "--host", settings.domain or DEFAULT_HOST]
    flags += ["--timeout", str(settings.health_timeout), "--watch", str(settings.watch)]
    if settings.https:
        flags += ["--scheme", "https"]
    if settings.health_status:
        flags += ["--expect", str(settings.health_status)]
    if settings.health_interval:
        flags += ["--interval", f"{settings.health_interval:g}"]
    if settings.storage:
        flags.append("--volume")
    elif settings.delete_storage:
        flags.append("--give-volume-up")
    return shlex.join(["sudo", "gantry", "release", *_deployment(name, configuration, settings), *flags])


def prepare(name: str, configuration: Configuration, settings: Settings) -> str:
    """The command that prepares the release before other servers switch, or before a volume is there: the long part."""
    flags = ["--without-data"] if settings.storage else []
    return shlex.join(["sudo", "gantry", "prepare", *_deployment(name, configuration, settings), *flags])


def mount_volume(path: str, settings: Settings) -> str:
    """The command that mounts the volume, whose device or folder on the server is ``path``."""
    return shlex.join(["sudo", "gantry", "mount-volume", path, "--size", str(settings.storage)])


def _deployment(name: str, configuration: Configuration, settings: Settings) -> list[str]:
    """The arguments that describe a deployment and the other processes of the app."""
    words = [name, "--settings", configuration.digest()]
    for process, count in sorted(settings.processes.items()):
        words += ["--process", f"{process}={count}"]
    for entry in settings.cron:
        words += ["--cron", entry.schedule, entry.command]
    for process in settings.singletons:
        words += ["--singleton", process]
    for path in settings.linked_paths:
        words += ["--link", path]
    # Of several servers, each would have data of its own in a linked folder.
    if settings.servers == 1 or settings.linked_paths_per_server:
        words.append("--link-defaults")
    return words


def release_input(variables: dict[str, str], *, release: str, stack: str, revision: str | None = None) -> str:
    """The standard input of a release command, as JSON. It is secret, because it contains the app's variables.

    ``revision`` is for the history on the server.
    """
    env = {"RELEASE": release, "GANTRY_STACK": stack, **variables}
    return json.dumps({"variables": env, "revision": revision})


def confirm_input(release_input: str, release_output: str) -> str:
    """The standard input that confirms one run of a release command: no two runs on probation print the same."""
    run = hashlib.sha256(release_output.encode()).hexdigest()[:6]
    return json.dumps({**json.loads(release_input), "confirms": run})
