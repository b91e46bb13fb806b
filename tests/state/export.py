"""Makes the kept states again: brings each stack up with the code of a checkout, and exports its state.

Run it in a checkout of the commit that is to be kept, as root, since the local stacks boot machines:

    cd <checkout of 97a80cf> && .gantry/venv/bin/python <this checkout>/tests/state/export.py 97a80cf [NAME ...]

It imports the doubles of that checkout, by the names that they had in that commit: never rename those here.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
APP = "tests/state/app"
CHECKOUT = Path.cwd()
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "policy"), str(CHECKOUT / "tools/command-plugin"), str(HERE)]

import kept  # noqa: E402  (beside this file; the path was just extended)

# Stands for the checkout's folder in the kept states.
NEUTRAL_FOLDER = "/srv/gantry"
_PRIVATE_KEY = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----\n(.*?)-----END OPENSSH PRIVATE KEY-----", re.DOTALL)
# What says only when, and in which line of which file, a resource was made.
_VOLATILE = ("created", "modified", "sourcePosition", "stackTrace")


def main(commit: str, names: list[str]) -> None:
    for file in sorted((HERE / commit).glob("*.yaml")):
        if names and file.stem not in names:
            continue
        stack = kept.KeptStack(commit, file.stem)
        with tempfile.TemporaryDirectory() as folder, brought_up(stack, Path(folder)) as state:
            kept.write(stack.file, scrubbed(state))
        print(f"{stack.label}: {stack.file.stat().st_size // 1024} KiB", flush=True)


@contextmanager
def brought_up(kept_stack: kept.KeptStack, folder: Path) -> Iterator[dict[str, Any]]:
    """The state of the stack, brought up with the checkout's code; it is destroyed afterwards."""
    stacks = importlib.import_module("tests.stack")
    settings = kept_stack.settings()
    # A checkout of the older commit doesn't have it.
    settings["app"] = str(PROJECT / APP)
    with ExitStack() as opened:
        if settings["target"] != "local":
            opened.enter_context(on_paper(settings["target"], folder))
        stack = stacks.Stack("kept", folder, settings)
        opened.callback(stack.destroy)
        stack.up()
        stack.pulumi("preview", "--expect-no-changes")
        state = json.loads(stack.pulumi("stack", "export", "--show-secrets").stdout)
        yield {**state, "computer": records_of(state)}


def records_of(state: dict[str, Any]) -> dict[str, Any]:
    """What this computer knows of the stack's networks and machines, by file in the local target's folder."""
    folder = importlib.import_module("components.local.store").STATE
    ids = [
        resource["id"] for resource in state["deployment"]["resources"] if "dynamic/gantry/local:" in resource["type"]
    ]
    files = [file for id in ids for file in (folder / f"networks/{id}.json", folder / f"machines/{id}/spec.json")]
    return {str(file.relative_to(folder)): json.loads(file.read_text()) for file in files if file.exists()}


@contextmanager
def on_paper(target: str, folder: Path) -> Iterator[None]:
    """A simulated cloud with a zone, whose servers exist on paper only."""
    sites, worlds, shapes, commands = (
        importlib.import_module(f"tests.clouds.{name}") for name in ("site", "world", "test_shapes", "commands")
    )
    with sites.simulated(target, worlds.Paper(), folder) as cloud, commands.without_servers(folder):
        shapes.with_zone(cloud)
        yield


def scrubbed(state: dict[str, Any]) -> dict[str, Any]:
    """The same state without private keys, times, the secrets provider and folders of this computer."""
    deployment = state["deployment"]
    deployment.pop("secrets_providers", None)
    deployment["manifest"]["time"] = "2000-01-01T00:00:00Z"
    for resource in deployment["resources"]:
        for key in _VOLATILE:
            resource.pop(key, None)
    text = json.dumps(state)
    for old, new in fakes(plain_texts(state)).items():
        text = text.replace(old, new)
    text = text.replace(str(PROJECT / APP), APP).replace(str(CHECKOUT), NEUTRAL_FOLDER)
    result = json.loads(text)
    replaced_digests = zip(user_data_digests(state), user_data_digests(result), strict=True)
    for old, new in replaced_digests:
        text = text.replace(old, new)
    return json.loads(text)


def plain_texts(value: Any) -> list[str]:
    """All texts of a state; those of secrets without their JSON quotes."""
    if isinstance(value, dict):
        inner = [json.loads(value["plaintext"])] if "plaintext" in value else value.values()
        return [text for each in inner for text in plain_texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in plain_texts(each)]
    return [value] if isinstance(value, str) else []


def fakes(texts: list[str]) -> dict[str, str]:
    """A fake for each line of each private key, of the same length.

    Lines have no character that JSON or YAML would write differently, so they are found wherever a key is.
    """
    found: dict[str, str] = {}
    for text in texts:
        for body in _PRIVATE_KEY.findall(text):
            for line in body.split():
                found.setdefault(line, f"FakePrivateKeyLine{len(found)}".ljust(len(line), "x")[: len(line)])
    return found


def user_data_digests(state: dict[str, Any]) -> list[str]:
    """The SHA-256 of each server's user-data, which the local target keeps in its outputs."""
    inputs = (resource.get("inputs", {}).get("user_data") for resource in state["deployment"]["resources"])
    texts = [json.loads(each["plaintext"]) for each in inputs if each]
    return [hashlib.sha256(text.encode()).hexdigest() for text in texts]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
