"""Finds the stack's backend (where its state is stored), its login and its passphrase."""

from __future__ import annotations

import hashlib
import json
import pwd
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tools.setup.report import SetupError

DEV = "dev"


def make(target: str, stack: str) -> str:
    """The command line that runs this target of the Makefile for the stack."""
    return f"make {target}" + ("" if stack == DEV else f" STACK={stack}")


def in_folder(folder: Path) -> str:
    """The URL of a backend that stores its files in this folder, without sidecars.

    The engine replaces a state file atomically, but not the `.attrs` sidecar beside it. If it is killed between the
    two, the sidecar is empty, and the next command fails with `failed to load checkpoint: EOF`.
    """
    return f"{folder.as_uri()}?metadata=skip"


def stacks_folder(url: str) -> Path | None:
    """The folder with the states of all projects, or None for a backend that isn't a folder of this computer."""
    scheme, _, folder = url.partition("?")[0].partition("://")
    return Path(folder).expanduser() / ".pulumi" / "stacks" if scheme == "file" else None


def state_file(url: str, project: Path, stack: str) -> Path | None:
    """The file with the state of a stack, which may not exist yet; ``project`` is Pulumi.yaml.

    None for a backend that isn't a folder of this computer.
    """
    stacks = stacks_folder(url)
    return stacks / name_in(project.read_text()) / f"{stack.rpartition('/')[2]}.json" if stacks else None


def remove_empty_sidecars(url: str, stack: str) -> list[Path]:
    """Removes the stack's empty sidecars in a backend of files; returns their paths. The engine doesn't need them."""
    stacks = stacks_folder(url)
    if stacks is None:
        return []
    sidecars = stacks.rglob(f"{stack.rpartition('/')[2]}.json*.attrs")
    empty = [sidecar for sidecar in sidecars if sidecar.stat().st_size == 0]
    for sidecar in empty:
        sidecar.unlink()
    return empty


def project_file(start: Path) -> Path | None:
    """The Pulumi.yaml that the engine finds if it starts in this folder."""
    for folder in (start, *start.parents):
        for name in ("Pulumi.yaml", "Pulumi.yml"):
            if (folder / name).is_file():
                return folder / name
    return None


def backend_in(project: str) -> str | None:
    """The `backend: {url: ...}` of a Pulumi.yaml. This runs before any YAML library is installed."""
    block = re.search(r"^backend:[^\S\n]*(.*(?:\n(?:[^\S\n]+.*|[^\S\n]*))*)", project, re.MULTILINE)
    url = re.search(r"\burl:\s*[\"']?([^\s\"'},]+)", block[1]) if block else None
    return url[1] if url else None


def name_in(project: str) -> str:
    """The project's name in a Pulumi.yaml."""
    match = re.search(r"^name:\s*[\"']?([\w.-]+)", project, re.MULTILINE)
    return match[1] if match else ""


def target_in(config: str) -> str:
    """The `target` in a stack's configuration file of any project. The default of Pulumi.yaml is `local`."""
    match = re.search(r"^\s+[\"']?(?:[\w.-]+:)?target[\"']?:\s*[\"']?(\w+)", config, re.MULTILINE)
    return match[1] if match else "local"


def chosen_backend(environ: Mapping[str, str], project: Path | None, credentials: Path) -> str | None:
    """The URL of the backend that the user has chosen, or None. The engine looks in the same order."""
    if url := environ.get("PULUMI_BACKEND_URL"):
        return url
    if project and (url := backend_in(project.read_text())):
        return url
    return _text_at(credentials / "credentials.json", "current")


def selected_stack(pulumi_home: Path, project: Path | None, backend: str) -> str | None:
    """The stack that `pulumi stack select` has stored for this project and backend."""
    if project is None:
        return None
    # The engine names this file after the project and the SHA-1 of the project file's path.
    path_digest = hashlib.sha1(str(project).encode(), usedforsecurity=False).hexdigest()
    file = pulumi_home / "workspaces" / f"{name_in(project.read_text())}-{path_digest}-workspace.json"
    return _text_at(file, "stacks", backend) or _text_at(file, "stack")


def _text_at(file: Path, *keys: str) -> str | None:
    """The text under these nested keys of a JSON file, or None if there is no such text."""
    try:
        value: object = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    for key in keys:
        value = cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value else None


def defaults(stack: str, url: str | None, local_url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to add to `environ`. Only the dev stack gets any: a local backend and an empty passphrase.

    `url` is the backend that the user has chosen, or None. Raises SetupError for another stack without a backend.
    """
    is_dev = stack.rpartition("/")[2] == DEV
    variables: dict[str, str] = {}
    if url is None:
        if not is_dev:
            raise SetupError(_no_backend(stack))
        variables["PULUMI_BACKEND_URL"] = url = local_url
    has_passphrase = "PULUMI_CONFIG_PASSPHRASE" in environ or "PULUMI_CONFIG_PASSPHRASE_FILE" in environ
    # An empty passphrase is only good enough for state that stays on this computer.
    if is_dev and url.startswith("file://") and not has_passphrase:
        variables["PULUMI_CONFIG_PASSPHRASE"] = ""
    return variables


def _no_backend(stack: str) -> str:
    return (
        f'The stack "{stack}" has no backend to store its state. Only "{DEV}" has one by default, in this folder.\n'
        "Choose one of these, then repeat your command:\n"
        "  bin/pulumi login                     Pulumi Cloud\n"
        "  bin/pulumi login s3://my-bucket      your own bucket (also azblob:// and gs://)\n"
        "  bin/pulumi login --local             your home folder\n"
        "or set PULUMI_BACKEND_URL.\n"
        "All of them but Pulumi Cloud need PULUMI_CONFIG_PASSPHRASE, too, unless a key service encrypts the secrets."
    )


def login_folder(environ: Mapping[str, str], home: Path) -> Path:
    """The folder with the user's `pulumi login`. Under sudo, that of the calling user, unless root has a login."""
    if folder := environ.get("PULUMI_CREDENTIALS_PATH") or environ.get("PULUMI_HOME"):
        return Path(folder)
    caller = environ.get("SUDO_USER")
    if caller and not (home / ".pulumi" / "credentials.json").exists():
        try:
            return Path(pwd.getpwnam(caller).pw_dir, ".pulumi")
        except KeyError:
            pass
    return home / ".pulumi"
