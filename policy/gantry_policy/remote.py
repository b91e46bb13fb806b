"""Rules about commands on servers, for every cloud."""

from __future__ import annotations

from collections.abc import Iterator

from gantry_policy.rules import Props, Rules, is_set, mapping
from gantry_policy.secrets import kinds_in

RULES = Rules("remote")

COMMAND = "command:remote:Command"
COPIES = ("command:remote:CopyToRemote", "command:remote:CopyFile")
COMMAND_TEXTS = ("create", "update", "delete")


@RULES.about(COMMAND, *COPIES)
def hosts_are_checked(props: Props) -> Iterator[str]:
    """Every connection checks the server's host key."""
    connection = mapping(props, "connection")
    if not is_set(connection, "hostKey"):
        yield "connection.hostKey isn't set, so any server is accepted: set it"
    proxy = mapping(connection, "proxy")
    if proxy and not is_set(proxy, "hostKey"):
        yield "connection.proxy.hostKey isn't set, so any server is accepted as the proxy: set it"


@RULES.about(COMMAND, *COPIES)
def logins_are_by_key(props: Props) -> Iterator[str]:
    """Logins to servers use a key, never a password."""
    if is_set(mapping(props, "connection"), "password"):
        yield "connection.password is set: use connection.privateKey"


@RULES.about(COMMAND)
def commands_hold_no_secret(props: Props) -> Iterator[str]:
    """The text of a command holds no secret, because previews, errors and process lists show it."""
    for key in COMMAND_TEXTS:
        for kind in kinds_in(str(props.get(key) or "")):
            yield f"{key} seems to hold {kind}: pass it through stdin"


@RULES.about(COMMAND)
def nothing_goes_through_the_environment(props: Props) -> Iterator[str]:
    """Commands get no values in environment variables, because other processes on the server can read them."""
    if names := ", ".join(sorted(mapping(props, "environment"))):
        yield f"environment has {names}: pass values through stdin"
    if props.get("addPreviousOutputInEnv") is not False:
        yield "addPreviousOutputInEnv isn't false, so a command gets its previous output as a variable: set it to false"


@RULES.about(COMMAND)
def destroy_needs_no_server(props: Props) -> Iterator[str]:
    """Destroying a stack runs no command on a server, so that it works when servers are dead."""
    if props.get("delete"):
        yield "delete is set: leave it out, and let the server's deletion remove what the command made"
