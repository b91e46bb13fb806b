"""Says which files are deleted with servers: before `destroy`, and before an `up` that ends what a failed one began."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, cast

from components import app_data, data_loss
from components.app_data import StateServer
from tools.setup import backend
from tools.setup.paths import ROOT
from tools.setup.report import SetupError, say

VARIABLES = {data_loss.STOP_IN_PREVIEW: "true"}


def announce(pulumi: Sequence[str], stack: str | None, env: Mapping[str, str]) -> None:
    """Before `destroy`: one line for each server, with its files. A server that can't be asked takes half a minute.

    Without ``stack`` it is the selected one.
    """
    try:
        servers = _servers(pulumi, stack, env)
    except SetupError as error:
        say(f"nobody knows which files destroy deletes. {error}")
        return
    for line in data_loss.farewell(servers, data_loss.Survey().losses(servers)):
        say(f"destroy deletes {line}")


def require_no_loss(pulumi: Sequence[str], stack: str, env: Mapping[str, str]) -> None:
    """Before `up`: raises SetupError for files of servers that a failed `up` replaced and didn't delete yet.

    The program can't see these servers, and the engine deletes them in any case.
    """
    if not _may_have_pending(pulumi, stack, env):
        return
    servers = [server for server in _servers(pulumi, stack, env) if server.is_pending]
    accepted = _setting(pulumi, stack, env, "loseData").split(",")
    _, refused = data_loss.split(data_loss.Survey().losses(servers), accepted)
    if refused:
        text = data_loss.refusal(
            refused,
            event="was replaced by a failed `up`",
            stack=stack,
            lost=filter(None, accepted),
            can_have_volume=False,
        )
        raise SetupError(text)


def _may_have_pending(pulumi: Sequence[str], stack: str, env: Mapping[str, str]) -> bool:
    """Whether the state may have a server that waits for its deletion.

    A state in a file on this computer is read directly, because the engine would need half a second.
    """
    file = backend.state_file(env.get("PULUMI_BACKEND_URL", ""), ROOT / "Pulumi.yaml", stack)
    if file is None:
        return any(server.is_pending for server in _servers(pulumi, stack, env, secrets=False))
    return file.is_file() and b'"delete": true' in file.read_bytes()


def _servers(
    pulumi: Sequence[str], stack: str | None, env: Mapping[str, str], *, secrets: bool = True
) -> list[StateServer]:
    words = ["stack", "export", *(["--stack", stack] if stack else []), *(["--show-secrets"] if secrets else [])]
    # A question for the passphrase would be invisible here.
    result = subprocess.run([*pulumi, *words, "--non-interactive"], env=env, capture_output=True, text=True)
    if result.returncode != 0:
        raise SetupError(f"The state of the stack can't be read:\n{result.stderr.strip()}")
    return app_data.servers_in(app_data.from_export(cast("dict[str, Any]", json.loads(result.stdout))))


def _setting(pulumi: Sequence[str], stack: str, env: Mapping[str, str], key: str) -> str:
    """The value of a setting, or an empty text if it isn't set."""
    command = [*pulumi, "config", "get", key, "--stack", stack]
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else ""
