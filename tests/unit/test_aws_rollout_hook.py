from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable
from dataclasses import replace
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
from components.rollout.login import Logins
from components.rollout.steps import RolloutArgs
from components.server import commands as server_commands
from components.server.host_program import HostProgram
from tests.mocks import run_program

SECRET = "correct-horse-battery-staple"
FIRST_LOGIN, ADMIN_KEY = ssh.Login("198.51.100.7", "deploy", "FIRST", "key"), "admin's key"


def rollout_args(folder: Path, *, tarball: bool = True) -> RolloutArgs:
    (folder / "host.pyz").write_text("program")
    (folder / "app.tar").write_text("app")
    return RolloutArgs(
        logins=Logins(admin_key=ADMIN_KEY, creation="create admin"),
        host_program=HostProgram(file=folder / "host.pyz", path="/uploads/host-1.pyz", copy="/programs/host-1.pyz"),
        configuration='{"files": {}}',
        release=Release(name="3f2a91c0ffee", tarball=folder / "app.tar" if tarball else None),
        release_command="sudo gantry release 3f2a91c0ffee --settings s",
        prepare_command="a single server prepares within its release",
        release_input=SECRET,
    )


class SshServer:
    """Answers one command after the other; a number is the exit status of a failing command."""

    def __init__(self, *answers: bytes | int) -> None:
        self.answers = list(answers)
        self.host_keys: list[str] = []
        self.logins: list[tuple[str, str]] = []
        self.commands: list[tuple[str, bytes]] = []

    def run(
        self, login: ssh.Login, words: list[str], *, timeout: float, stdin: bytes | Path = b""
    ) -> subprocess.CompletedProcess[bytes]:
        self.host_keys.append(login.host_key)
        self.logins.append((login.user, login.private_key))
        self.commands.append((words[0], stdin if isinstance(stdin, bytes) else stdin.read_bytes()))
        answer = self.answers.pop(0) if self.answers else b""
        if isinstance(answer, int):
            return subprocess.CompletedProcess(words, answer, b"", b"what went wrong")
        return subprocess.CompletedProcess(words, 0, answer, b"")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> SshServer:
    server = SshServer(b"OWN\n")
    monkeypatch.setattr(ssh, "run", server.run)
    return server


def roll_out(server: SshServer, folder: Path, *, tarball: bool = True) -> list[tuple[str, bytes]]:
    """Roll out to the server. Returns the commands after READY, with their standard input."""
    args = rollout_args(folder, tarball=tarball)
    rollout_hook.roll_out(FIRST_LOGIN, ADMIN_KEY, steps.single_server(args, configure=server_commands.CONFIGURE))
    return server.commands[1:]


def test_the_steps_are_those_of_a_rollout_and_finally_the_first_host_key_is_restored(server: SshServer, tmp_path: Path):
    program = "/uploads/host-1.pyz"
    assert roll_out(server, tmp_path) == [
        ("sh # creates the login admin", b"create admin"),
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


def test_a_new_server_gets_the_kept_certificate_before_its_release_and_before_the_address(
    server: SshServer, tmp_path: Path
):
    kept = steps.Command(role="kept-certificate", text="sudo gantry restore-certificate", stdin="KEY", as_admin=True)
    args = replace(rollout_args(tmp_path), give_certificate=kept)
    rollout_hook.roll_out(FIRST_LOGIN, ADMIN_KEY, steps.single_server(args, configure=server_commands.CONFIGURE))
    place = server.commands.index(("sudo gantry restore-certificate", b"KEY"))
    assert server.commands[place - 1][0].endswith("configure")
    assert server.logins[place] == ("admin", ADMIN_KEY)
    assert place < next(number for number, (text, _) in enumerate(server.commands) if "gantry release" in text)


def test_the_host_program_and_the_configuration_need_the_login_of_people(server: SshServer, tmp_path: Path):
    roll_out(server, tmp_path)
    deploy, admin = ("deploy", "key"), ("admin", ADMIN_KEY)
    # READY, logins, host program, configure, artifact, release, and the first host key.
    assert server.logins == [deploy, deploy, admin, admin, deploy, deploy, admin]


def test_after_a_failed_release_the_new_server_lets_its_volume_go(server: SshServer, tmp_path: Path):
    args = replace(rollout_args(tmp_path), mount_command="sudo gantry mount-volume /dev/x --size 20")
    server.answers += [b""] * 6 + [1]
    with pytest.raises(UserError, match="gantry release"):
        rollout_hook.roll_out(FIRST_LOGIN, ADMIN_KEY, steps.single_server(args, configure=server_commands.CONFIGURE))
    commands = [text for text, _ in server.commands]
    assert commands[-3:] == [
        "sudo gantry mount-volume /dev/x --size 20",
        "sudo gantry release 3f2a91c0ffee --settings s --first",
        "sudo gantry unmount-volume --stop 60",
    ]


def test_before_the_volume_is_there_a_new_server_is_only_prepared(server: SshServer, tmp_path: Path):
    args = replace(rollout_args(tmp_path), mount_command="sudo gantry mount-volume /dev/x --size 20")
    rollout_hook.roll_out(FIRST_LOGIN, ADMIN_KEY, steps.before_volume(args, configure=server_commands.CONFIGURE))
    commands = [text for text, _ in server.commands]
    assert commands[-2:] == [args.prepare_command, rollout_hook.RESTORE_FIRST_HOST_KEY]
    assert not [text for text in commands if "mount" in text]


def test_the_hook_keeps_the_first_host_key_because_the_rollout_needs_it(server: SshServer, tmp_path: Path):
    assert not [text for text, _ in roll_out(server, tmp_path) if "confirm" in text]


def test_a_kept_release_is_not_uploaded(server: SshServer, tmp_path: Path):
    assert not [text for text, _ in roll_out(server, tmp_path, tarball=False) if ".tar" in text]


def test_no_command_contains_a_secret(server: SshServer, tmp_path: Path):
    assert not [text for text, _ in roll_out(server, tmp_path) if SECRET in text]


class NewServer:
    """A server that has just been created."""

    instance_id = address = private_address = pulumi.Output.from_input("i-1")
    connection = remote.ConnectionArgs(host="198.51.100.7", user="deploy", private_key="key", host_key="FIRST")


@pytest.fixture
def run_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs the hook of a server with an Elastic IP against an ``SshServer``."""

    def run(server: SshServer, *, prepares: bool | None = None) -> None:
        monkeypatch.setattr(ssh, "run", server.run)
        monkeypatch.setattr(rollout_hook, "PAUSE_SECONDS", 0)
        hooks: list[rollout_hook.RolloutHook] = []

        def program() -> pulumi.Output[str]:
            condition = None if prepares is None else pulumi.Output.from_input(prepares)
            hooks.append(rollout_hook.RolloutHook("a", NewServer(), rollout_args(tmp_path), prepares=condition))
            return hooks[0].instance_id

        run_program(program)
        hook_args: Any = None
        # asyncio.run would replace Pulumi's own event loop.
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            loop.run_until_complete(hooks[0]._run(hook_args))

    return run


def test_only_the_first_connection_trusts_the_host_key_of_the_user_data(run_hook: Callable[..., None]):
    server = SshServer(b"OWN\n")
    run_hook(server)
    assert server.host_keys == ["FIRST", *["OWN"] * 6]


def test_the_hook_tries_again_while_the_server_cannot_be_reached(run_hook: Callable[..., None]):
    server = SshServer(255, 255, b"OWN\n", 255)
    run_hook(server)
    assert len(server.commands) == 7 + 3


def test_after_a_failed_release_the_address_stays_and_the_error_says_why(run_hook: Callable[..., None]):
    server = SshServer(b"OWN\n", b"", b"", b"", b"", 1)
    with pytest.raises(UserError, match=r"gantry release 3f2a91c0ffee.*the address stays where it is\nwhat went wrong"):
        run_hook(server)


@pytest.mark.parametrize("prepares", [True, False])
def test_a_server_is_prepared_only_if_it_needs_that(run_hook: Callable[..., None], prepares: bool):
    server = SshServer(b"OWN\n")
    run_hook(server, prepares=prepares)
    assert bool(server.commands) is prepares
