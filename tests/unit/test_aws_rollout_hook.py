from __future__ import annotations

import asyncio
import contextlib
import subprocess
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi_command import remote

from components import ssh
from components.app.source import Release
from components.aws import rollout_hook
from components.errors import UserError
from components.rollout import steps
from components.rollout.steps import RolloutArgs
from components.server import commands as server_commands
from components.server.host_program import HostProgram

SECRET = "correct-horse-battery-staple"


FIRST = ssh.Login("198.51.100.7", "deploy", "FIRST", "key")


def arguments(folder: Path, *, tarball: bool = True) -> RolloutArgs:
    (folder / "host.pyz").write_text("program")
    (folder / "app.tar").write_text("app")
    return RolloutArgs(
        host_program=HostProgram(file=folder / "host.pyz", path="/opt/gantry/incoming/host-1.pyz"),
        configuration='{"files": {}}',
        release=Release(name="3f2a91c0ffee", tarball=folder / "app.tar" if tarball else None),
        release_command="sudo gantry release 3f2a91c0ffee --settings s",
        prepare_first_command="a single server prepares within its release",
        release_input=SECRET,
    )


class Server:
    """Answers commands in their order; a number is the exit status of a failing command."""

    def __init__(self, *answers: bytes | int) -> None:
        self.answers = list(answers)
        self.host_keys: list[str] = []
        self.commands: list[tuple[str, bytes]] = []

    def run(
        self, login: ssh.Login, words: list[str], *, timeout: float, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        self.host_keys.append(login.host_key)
        self.commands.append((words[0], stdin))
        answer = self.answers.pop(0) if self.answers else b""
        if isinstance(answer, int):
            return subprocess.CompletedProcess(words, answer, b"", b"what went wrong")
        return subprocess.CompletedProcess(words, 0, answer, b"")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server(b"OWN\n")
    monkeypatch.setattr(ssh, "run", server.run)
    return server


def commands(server: Server, folder: Path, *, tarball: bool = True) -> list[tuple[str, bytes]]:
    """The commands and standard inputs that a server gets after READY."""
    args = arguments(folder, tarball=tarball)
    rollout_hook.roll_out(FIRST, steps.single_server(args, configure=server_commands.CONFIGURE))
    return server.commands[1:]


def test_the_steps_are_those_of_a_rollout_and_end_with_the_first_host_key(server: Server, tmp_path: Path):
    program = "/opt/gantry/incoming/host-1.pyz"
    assert commands(server, tmp_path) == [
        (
            f"cat > {program}.partial && mv {program}.partial {program} || {{ rm -f {program}.partial; false; }}",
            b"program",
        ),
        (f"sudo python3 -I {program} configure", b'{"files": {}}'),
        (
            "cat > /opt/gantry/incoming/3f2a91c0ffee.tar.partial"
            " && mv /opt/gantry/incoming/3f2a91c0ffee.tar.partial /opt/gantry/incoming/3f2a91c0ffee.tar"
            " || { rm -f /opt/gantry/incoming/3f2a91c0ffee.tar.partial; false; }",
            b"app",
        ),
        ("sudo gantry release 3f2a91c0ffee --settings s --first", SECRET.encode()),
        (rollout_hook.RESTORE_FIRST_HOST_KEY, b""),
    ]


def test_the_first_host_key_stays_valid_because_the_rollout_begins_with_it(server: Server, tmp_path: Path):
    assert not [text for text, _ in commands(server, tmp_path) if "confirm" in text]


def test_a_kept_release_is_not_uploaded(server: Server, tmp_path: Path):
    assert not [text for text, _ in commands(server, tmp_path, tarball=False) if ".tar" in text]


def test_no_command_holds_a_secret(server: Server, tmp_path: Path):
    assert not [text for text, _ in commands(server, tmp_path) if SECRET in text]


@pytest.fixture
def run_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the hook of a server with an Elastic IP against a ``Server``."""

    def run(server: Server) -> None:
        monkeypatch.setattr(ssh, "run", server.run)
        monkeypatch.setattr(rollout_hook, "PAUSE_SECONDS", 0)
        hooks: list[rollout_hook.RolloutHook] = []

        @pulumi.runtime.test
        def create() -> pulumi.Output[str]:
            hooks.append(rollout_hook.RolloutHook("a", NewServer(), arguments(tmp_path)))
            return hooks[0].instance_id

        class Echo(pulumi.runtime.Mocks):
            def new_resource(self, args: Any) -> tuple[str, dict[str, Any]]:
                return "i-1", args.inputs

            def call(self, args: Any) -> Any: ...

        pulumi.runtime.set_mocks(Echo(), preview=False)
        create()
        hook_args: Any = None
        # Not asyncio.run, which would take Pulumi's own loop away.
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            loop.run_until_complete(hooks[0]._run(hook_args))

    return run


class NewServer:
    """A server that has just been created."""

    instance_id = address = private_address = pulumi.Output.from_input("i-1")
    connection = remote.ConnectionArgs(host="198.51.100.7", user="deploy", private_key="key", host_key="FIRST")


def test_only_the_first_connection_trusts_the_key_of_the_user_data(run_hook: Any):
    server = Server(b"OWN\n")
    run_hook(server)
    assert server.host_keys == ["FIRST", *["OWN"] * 5]


def test_a_server_that_does_not_answer_yet_is_tried_again(run_hook: Any):
    server = Server(255, 255, b"OWN\n", 255)
    run_hook(server)
    assert len(server.commands) == 6 + 3


def test_a_release_that_fails_keeps_the_address_where_it_is_and_says_why(run_hook: Any):
    server = Server(b"OWN\n", b"", b"", b"", 1)
    with pytest.raises(UserError, match=r"gantry release 3f2a91c0ffee.*the address stays where it is\nwhat went wrong"):
        run_hook(server)
