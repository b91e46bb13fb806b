"""The servers in a stack's state, and what the folders of their apps' data have. Needs no Pulumi."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from components import naming, ssh

# The type of the component that a server's own resource belongs to.
_SERVER = re.compile(r"gantry:([a-z]+):Server")
_COMMANDS = ("command:remote:Command", "command:remote:CopyToRemote")
# The id and the address of a server, as the targets' resources name them.
_ID_KEYS = ("id", "machine_id")
_ADDRESS_KEYS = ("publicIp", "ipv4Address", "address")
# The engine's marks of a secret value in an exported state.
_SECRET, _PLAINTEXT = "4dabf18193072939515e22adb298388d", "plaintext"
COUNT = "sudo python3 -I -"
SCRIPT = Path(__file__).resolve().parents[1] / "host/app_data.py"
# A server that is busy may answer the second time. Each connection may take 5 s, and counting a million files 20 s.
ATTEMPTS = 2
PAUSE_SECONDS = 2
READ_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource of a state, with its secrets in plain text. An ``is_pending`` one is deleted by the next `up`."""

    urn: str
    outputs: Mapping[str, Any]
    is_pending: bool = False

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]

    @property
    def type(self) -> str:
        return self.urn.split("::")[2].rpartition("$")[2]

    @property
    def parent_type(self) -> str:
        return self.urn.split("::")[2].rpartition("$")[0].rpartition("$")[2]

    @property
    def is_balancers(self) -> bool:
        """Whether it belongs to a balancer. The local target's balancer is a machine like a server, without an app."""
        return ":Balancer$" in self.urn


@dataclass(frozen=True, kw_only=True)
class StateServer:
    """A server that the state has. Without ``logins`` it never got a release, so nothing has written to it."""

    urn: str
    name: str
    target: str
    id: str
    logins: tuple[ssh.Login, ...] = ()
    # Whether the data of its app is on a volume.
    has_volume: bool = False
    is_pending: bool = False


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The files in the folder of an app's data on a server, and their size in bytes."""

    files: int
    bytes: int
    on_volume: bool = False

    def __str__(self) -> str:
        return f"{self.files} {'file' if self.files == 1 else 'files'} ({size_text(self.bytes)})"


NOTHING = Contents(files=0, bytes=0)


class UnreadableError(Exception):
    """The server can't be asked. The text says why."""


class _NoConnectionError(UnreadableError):
    """Another address, or another try, may help."""


def resources_of(deployment: Mapping[str, Any]) -> list[Resource]:
    """The resources of a stack's state: the field ``deployment`` of `pulumi stack export`.

    An output with an encrypted secret is None.
    """
    resources: list[dict[str, Any]] = deployment.get("resources") or []
    return [
        Resource(
            urn=resource["urn"],
            outputs={"id": resource.get("id"), **_plain(resource.get("outputs") or {})},
            is_pending=bool(resource.get("delete")),
        )
        for resource in resources
    ]


def servers_in(resources: Iterable[Resource]) -> list[StateServer]:
    """The servers among the resources, in their order, with the logins that the state has for them."""
    resources = [resource for resource in resources if not resource.is_balancers]
    commands: dict[str, list[Resource]] = {}
    # By the label of a server's component.
    ids: dict[str, str] = {}
    for resource in resources:
        if _SERVER.fullmatch(resource.type):
            ids[naming.label(resource.name)] = str(resource.outputs.get("instance_id") or "")
        triggers: list[Any] = resource.outputs.get("triggers") or []
        if resource.type in _COMMANDS and triggers:
            commands.setdefault(str(triggers[0]), []).append(resource)
    return [
        # A provider's plugin decides whether the id is among the outputs.
        _server(resource, match[1], _id_of(resource) or ids.get(naming.label(resource.name), ""), commands)
        for resource in resources
        if (match := _SERVER.fullmatch(resource.parent_type))
    ]


def _id_of(resource: Resource) -> str:
    return str(next((value for key in _ID_KEYS if (value := resource.outputs.get(key))), ""))


def _server(resource: Resource, target: str, id: str, commands: Mapping[str, list[Resource]]) -> StateServer:
    own = commands.get(id, [])
    ready = next((command for command in own if command.name.endswith("-ready")), None)
    name = ready.name.removesuffix("-ready") if ready else resource.name
    return StateServer(
        urn=resource.urn,
        name=name,
        target=target,
        id=id,
        logins=_logins(resource, ready, own) if ready else (),
        has_volume=any(command.name == f"{name}-volume" for command in own),
        is_pending=resource.is_pending,
    )


def _logins(server: Resource, ready: Resource, commands: list[Resource]) -> tuple[ssh.Login, ...]:
    """At the address of the last commands, then at the server's own. READY has printed the host key.

    The user is the one that may do everything on the server.
    """
    host_key = str(ready.outputs.get("stdout") or "").strip()
    connections: list[Mapping[str, Any]] = [
        connection
        for command in [*(command for command in commands if command is not ready), ready]
        if isinstance(connection := command.outputs.get("connection"), Mapping)
    ]
    if not connections or not host_key:
        return ()
    # A command that has logged in as admin proves that this user exists. After that, deploy may not read all files.
    person = next((connection for connection in connections if connection["user"] == ssh.ADMIN), connections[0])
    own = [address for key in _ADDRESS_KEYS if (address := server.outputs.get(key))]
    hosts = dict.fromkeys([*(str(connection["host"]) for connection in connections), *map(str, own)])
    return tuple(ssh.Login(host, str(person["user"]), host_key, str(person["privateKey"])) for host in hosts)


def read(server: StateServer) -> Contents:
    """Counts the files of the app's data on a server, for a minute and a half at most. Raises UnreadableError."""
    if server.has_volume:
        return Contents(files=0, bytes=0, on_volume=True)
    if not server.logins or (server.target == "local" and _is_gone(server.id)):
        return NOTHING
    reason = ""
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE_SECONDS if attempt else 0)
        for login in server.logins:
            try:
                return _read(login)
            except _NoConnectionError as error:
                reason = reason or str(error)
    raise UnreadableError(reason)


def _read(login: ssh.Login) -> Contents:
    try:
        result = ssh.run(login, [COUNT], timeout=READ_SECONDS, stdin=SCRIPT)
    except subprocess.TimeoutExpired:
        raise UnreadableError(f"{login.address} didn't count its files within {READ_SECONDS} s") from None
    except OSError as error:
        raise UnreadableError(f"ssh can't be run: {error}") from None
    last_lines = result.stderr.decode(errors="replace").strip().splitlines()[-1:]
    why = "".join(f" ({line.strip()})" for line in last_lines)
    if result.returncode == ssh.NO_CONNECTION:
        raise _NoConnectionError(f"{login.address} doesn't answer over SSH{why}")
    try:
        document: dict[str, Any] = json.loads(result.stdout)
        return Contents(files=document["files"], bytes=document["bytes"], on_volume=document["on_volume"])
    except (ValueError, KeyError, TypeError):
        raise UnreadableError(f"{login.address} can't count its files{why}") from None


def _is_gone(machine_id: str) -> bool:
    """Whether this computer no longer has the machine."""
    from components.local import machine

    return machine.status(machine_id) in ("gone", "half-made")


def size_text(size: int) -> str:
    """A size in bytes for people, such as 3.4 MB."""
    if size < 1000:
        return f"{size} {'byte' if size == 1 else 'bytes'}"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95 or unit == "GB":
            return f"{value:.1f} {unit}"
    raise AssertionError("GB is the last unit")


def _plain(value: Any) -> Any:
    """The value with secrets in plain text, or None for a secret that the export doesn't show."""
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value)
        if _SECRET in parts:
            return _plain(json.loads(parts[_PLAINTEXT])) if _PLAINTEXT in parts else None
        return {key: _plain(item) for key, item in parts.items()}
    return [_plain(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value
