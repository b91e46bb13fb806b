"""Which stack is meant, where its state is kept, and with what passphrase."""

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
    """The operator's command line for this target and stack."""
    return f"make {target}" + ("" if stack == DEV else f" STACK={stack}")


def in_folder(folder: Path) -> str:
    """A backend of files in this folder, without their sidecars.

    The engine replaces a file of state as a whole, but not the `.attrs` beside it: a kill between the two leaves that
    empty, and whatever comes next ends with `failed to load checkpoint: EOF`.
    """
    return f"{folder.as_uri()}?metadata=skip"


def without_empty_sidecars(url: str, stack: str) -> list[Path]:
    """Removes those that a kill has left empty in a user's own folder; the engine does without them."""
    scheme, _, place = url.partition("?")[0].partition("://")
    if scheme != "file":
        return []
    stacks = Path(place).expanduser() / ".pulumi" / "stacks"
    found = [each for each in stacks.rglob(f"{stack.rpartition('/')[2]}.json*.attrs") if each.stat().st_size == 0]
    for each in found:
        each.unlink()
    return found


def project_file(start: Path) -> Path | None:
    """The Pulumi.yaml that the engine would find from this folder."""
    for folder in (start, *start.parents):
        for name in ("Pulumi.yaml", "Pulumi.yml"):
            if (folder / name).is_file():
                return folder / name
    return None


def backend_in(project: str) -> str | None:
    """The `backend: {url: ...}` of a Pulumi.yaml, read before there is a YAML library."""
    block = re.search(r"^backend:[^\S\n]*(.*(?:\n(?:[^\S\n]+.*|[^\S\n]*))*)", project, re.MULTILINE)
    url = re.search(r"\burl:\s*[\"']?([^\s\"'},]+)", block[1]) if block else None
    return url[1] if url else None


def name_in(project: str) -> str:
    found = re.search(r"^name:\s*[\"']?([\w.-]+)", project, re.MULTILINE)
    return found[1] if found else ""


def target_in(config: str) -> str:
    """The `target` of a stack's configuration file; Pulumi.yaml's default is `local`."""
    found = re.search(r"^\s+[\"']?(?:gantry:)?target[\"']?:\s*[\"']?(\w+)", config, re.MULTILINE)
    return found[1] if found else "local"


def chosen_backend(environ: Mapping[str, str], project: Path | None, credentials: Path) -> str | None:
    """The backend that the user has chosen, in the engine's own order, or nothing."""
    if url := environ.get("PULUMI_BACKEND_URL"):
        return url
    if project and (url := backend_in(project.read_text())):
        return url
    return _text_at(credentials / "credentials.json", "current")


def selected_stack(pulumi_home: Path, project: Path | None, backend: str) -> str | None:
    """The stack that `pulumi stack select` remembered for this project and backend."""
    if project is None:
        return None
    # The engine's own name for the file: the project, and the digest of where it lies.
    place = hashlib.sha1(str(project).encode(), usedforsecurity=False).hexdigest()
    file = pulumi_home / "workspaces" / f"{name_in(project.read_text())}-{place}-workspace.json"
    return _text_at(file, "stacks", backend) or _text_at(file, "stack")


def _text_at(file: Path, *keys: str) -> str | None:
    try:
        found: object = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    for key in keys:
        found = cast("dict[str, object]", found).get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) and found else None


def defaults(stack: str, chosen: str | None, local: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to add for this stack: of the dev stack a local backend and an empty passphrase."""
    is_dev = stack.rpartition("/")[2] == DEV
    added: dict[str, str] = {}
    if chosen is None:
        if not is_dev:
            raise SetupError(_no_backend(stack))
        added["PULUMI_BACKEND_URL"] = chosen = local
    has_passphrase = "PULUMI_CONFIG_PASSPHRASE" in environ or "PULUMI_CONFIG_PASSPHRASE_FILE" in environ
    # An empty passphrase is for state that stays on this computer.
    if is_dev and chosen.startswith("file://") and not has_passphrase:
        added["PULUMI_CONFIG_PASSPHRASE"] = ""
    return added


def _no_backend(stack: str) -> str:
    return (
        f'The stack "{stack}" has no place for its state: only "{DEV}" keeps it in this folder by default.\n'
        "Choose one, then run this again:\n"
        "  bin/pulumi login                     Pulumi Cloud\n"
        "  bin/pulumi login s3://my-bucket      a bucket of yours (also azblob:// and gs://)\n"
        "  bin/pulumi login --local             your home folder; set PULUMI_CONFIG_PASSPHRASE too\n"
        "or set PULUMI_BACKEND_URL."
    )


def login_folder(environ: Mapping[str, str], home: Path) -> Path:
    """Where `pulumi login` of this user is kept; under sudo that of the user who called it."""
    if folder := environ.get("PULUMI_CREDENTIALS_PATH") or environ.get("PULUMI_HOME"):
        return Path(folder)
    caller = environ.get("SUDO_USER")
    if caller and not (home / ".pulumi" / "credentials.json").exists():
        try:
            return Path(pwd.getpwnam(caller).pw_dir, ".pulumi")
        except KeyError:
            pass
    return home / ".pulumi"
