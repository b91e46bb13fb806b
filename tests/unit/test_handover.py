from __future__ import annotations

import asyncio
import contextlib
import subprocess
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi_command import remote

from components import handover, ssh
from components.errors import UserError
from components.rollout import RolloutArgs

SECRET = "correct-horse-battery-staple"


def delivery(folder: Path, tarball: bool = True) -> RolloutArgs:
    (folder / "host.pyz").write_text("program")
    (folder / "app.tar").write_text("app")
    return RolloutArgs(
        host_program=folder / "host.pyz",
        host_program_path="/opt/gantry/incoming/host-1.pyz",
        configuration='{"files": {}}',
        tarball=folder / "app.tar" if tarball else None,
        release="3f2a91c0ffee",
        release_command="sudo gantry release 3f2a91c0ffee --settings s",
        first_prepare_command="a single server prepares within its release",
        release_input=SECRET,
    )


def test_the_steps_are_those_of_a_rollout_and_end_where_its_first_one_can_come_in(tmp_path: Path):
    steps = handover.steps(delivery(tmp_path), '{"files": {}}', SECRET)
    program = "/opt/gantry/incoming/host-1.pyz"
    assert [(step.command, step.stdin) for step in steps] == [
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
        (handover.FIRST_KEY_AGAIN, b""),
    ]


def test_the_first_host_key_is_not_given_up_since_the_rollout_begins_with_it(tmp_path: Path):
    assert not [step for step in handover.steps(delivery(tmp_path), "", "") if "confirm" in step.command]


def test_a_kept_release_is_not_uploaded(tmp_path: Path):
    uploads = [step for step in handover.steps(delivery(tmp_path, tarball=False), "", "") if ".tar" in step.command]
    assert not uploads


def test_no_command_holds_a_secret(tmp_path: Path):
    assert not [step for step in handover.steps(delivery(tmp_path), "", SECRET) if SECRET in step.command]


class Server:
    """Answers commands in their order; one that is a number ends the command with it."""

    def __init__(self, *answers: bytes | int) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []

    def run(self, login: ssh.Login, words: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        self.asked.append((login.host_key, words[0]))
        answer = self.answers.pop(0) if self.answers else b""
        if isinstance(answer, int):
            return subprocess.CompletedProcess(words, answer, b"", b"what went wrong")
        return subprocess.CompletedProcess(words, 0, answer, b"")


@pytest.fixture
def hooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the hook of a server at an address against a ``Server``."""

    def run(server: Server) -> None:
        monkeypatch.setattr(ssh, "run", server.run)
        monkeypatch.setattr(handover, "PAUSE_SECONDS", 0)
        made: list[handover.Handover] = []

        @pulumi.runtime.test
        def known() -> pulumi.Output[str]:
            made.append(handover.Handover("a", Machine(), delivery(tmp_path)))
            return made[0].instance_id

        class Echo(pulumi.runtime.Mocks):
            def new_resource(self, args: Any) -> tuple[str, dict[str, Any]]:
                return "i-1", args.inputs

            def call(self, args: Any) -> Any: ...

        pulumi.runtime.set_mocks(Echo(), preview=False)
        known()
        unread: Any = None
        # Not asyncio.run, which would take Pulumi's own loop away.
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            loop.run_until_complete(made[0]._run(unread))

    return run


class Machine:
    """A server that has just been made."""

    instance_id = address = private_address = pulumi.Output.from_input("i-1")
    connection = remote.ConnectionArgs(host="198.51.100.7", user="deploy", private_key="key", host_key="FIRST")


def test_only_the_first_contact_trusts_the_key_of_the_user_data(hooked: Any):
    server = Server(b"OWN\n")
    hooked(server)
    assert [key for key, _ in server.asked] == ["FIRST", *["OWN"] * 5]


def test_a_server_that_does_not_answer_yet_is_asked_again(hooked: Any):
    server = Server(255, 255, b"OWN\n", 255)
    hooked(server)
    assert len(server.asked) == 6 + 3


def test_a_release_that_fails_keeps_the_address_where_it_is_and_says_why(hooked: Any):
    server = Server(b"OWN\n", b"", b"", b"", 1)
    with pytest.raises(UserError, match=r"gantry release 3f2a91c0ffee.*the address stays where it is\nwhat went wrong"):
        hooked(server)
