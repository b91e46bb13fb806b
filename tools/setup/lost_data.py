"""Says which files are deleted with servers: before `destroy`, and before an `up` that ends what a failed one began."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from components import app_data, data_loss
from components.app_data import StateServer
from tools.setup import stack_state
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


def require_no_loss(
    pulumi: Sequence[str], stack: str, env: Mapping[str, str], deployment: stack_state.Deployment
) -> None:
    """Before `up`: raises SetupError for files of servers that a failed `up` replaced and didn't delete yet.

    ``deployment`` is the stack's state; its secrets may be encrypted. The program can't see these servers, and the
    engine deletes them in any case.
    """
    if not any(server.is_pending for server in app_data.servers_in(app_data.resources_of(deployment))):
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


def _servers(pulumi: Sequence[str], stack: str | None, env: Mapping[str, str]) -> list[StateServer]:
    """The servers with their logins."""
    deployment = stack_state.exported(pulumi, stack, env, secrets=True)
    return app_data.servers_in(app_data.resources_of(deployment))


def _setting(pulumi: Sequence[str], stack: str, env: Mapping[str, str], key: str) -> str:
    """The value of a setting, or an empty text if it isn't set."""
    command = [*pulumi, "config", "get", key, "--stack", stack]
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else ""
