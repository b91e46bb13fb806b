"""The promises about the commands that go to servers, wherever these are."""

from __future__ import annotations

from collections.abc import Iterator

from gantry_policy.rule import Props, Rules, has, part
from gantry_policy.secret import kinds_in

RULES = Rules("remote")

COMMAND = "command:remote:Command"
COPIES = ("command:remote:CopyToRemote", "command:remote:CopyFile")
TEXTS = ("create", "update", "delete")


@RULES.about(COMMAND, *COPIES)
def hosts_are_checked(props: Props) -> Iterator[str]:
    """No connection is made to a server whose host key isn't known."""
    connection = part(props, "connection")
    if not has(connection, "hostKey"):
        yield "connection.hostKey isn't set, and without it any server is taken for the right one: set it"
    proxy = part(connection, "proxy")
    if proxy and not has(proxy, "hostKey"):
        yield "connection.proxy.hostKey isn't set, and without it any server is taken for the right one: set it"


@RULES.about(COMMAND, *COPIES)
def logins_are_by_key(props: Props) -> Iterator[str]:
    """Servers are entered with a key, never with a password."""
    if has(part(props, "connection"), "password"):
        yield "connection.password is set: use connection.privateKey"


@RULES.about(COMMAND)
def commands_hold_no_secret(props: Props) -> Iterator[str]:
    """No secret is in a command's text, which previews, errors and process lists show."""
    for key in TEXTS:
        for kind in kinds_in(str(props.get(key) or "")):
            yield f"{key} seems to hold {kind}: pass it by stdin"


@RULES.about(COMMAND)
def nothing_goes_through_the_environment(props: Props) -> Iterator[str]:
    """Nothing is handed over in environment variables, which a server's processes can read."""
    if names := ", ".join(sorted(part(props, "environment"))):
        yield f"environment has {names}: pass values by stdin"
    if props.get("addPreviousOutputInEnv") is not False:
        yield "addPreviousOutputInEnv isn't false: what a command printed would be handed to the next: set it to false"


@RULES.about(COMMAND)
def destroy_needs_no_server(props: Props) -> Iterator[str]:
    """No command runs when a stack is destroyed, which must work with servers dead."""
    if props.get("delete"):
        yield "delete is set: take away the machine instead"
