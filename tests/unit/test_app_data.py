from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components import app_data, data_loss, ssh
from components.app_data import Contents, Resource, StateServer, UnreadableError
from components.local import machine

ROLLOUT = "urn:pulumi:prod::gantry::gantry:release:Rollout$command:remote:Command"
ID = "i-0a1b2c3d"
SERVER = "urn:pulumi:prod::gantry::gantry:aws:Server$aws:ec2/instance:Instance::prod-0"
LOGIN = ssh.Login("203.0.113.7", "deploy", "OWN", "key")


def command(
    role: str, host: str = "203.0.113.7", id: str = ID, stdout: str = "", user: str = "deploy", key: str = "key"
) -> Resource:
    connection = {"host": host, "user": user, "privateKey": key, "hostKey": "FIRST"}
    outputs = {"triggers": [id], "connection": connection, "stdout": stdout}
    return Resource(urn=f"{ROLLOUT}::prod-0-{role}", outputs=outputs)


def instance(**outputs: Any) -> Resource:
    return Resource(urn=SERVER, outputs=outputs)


def test_a_servers_login_has_the_host_key_that_ready_printed_and_the_address_of_the_last_commands():
    resources = [instance(id=ID, publicIp="198.51.100.1"), command("ready", "198.51.100.1", stdout="OWN\n")]
    [server] = app_data.servers_in([*resources, command("configure"), command("release", id="i-other")])
    logins = (LOGIN, ssh.Login("198.51.100.1", "deploy", "OWN", "key"))
    assert server == StateServer(urn=SERVER, name="prod-0", target="aws", id=ID, logins=logins)


def test_the_login_is_that_of_people_as_soon_as_one_command_has_used_it():
    commands = [command("logins"), command("ready", stdout="OWN\n"), command("release")]
    # If `up` is killed in the first configuration by this version, only the upload before it has the user admin.
    commands.append(command("configure"))
    configure = command("host-program", user="admin", key="admin's key")
    [server] = app_data.servers_in([instance(id=ID), *commands, configure])
    assert server.logins == (ssh.Login("203.0.113.7", "admin", "OWN", "admin's key"),)
    hidden = Resource(urn=configure.urn, outputs={**configure.outputs, "connection": None})
    [server] = app_data.servers_in([instance(id=ID), *commands, hidden])
    assert server.logins == (LOGIN,)


def test_without_an_id_among_the_outputs_the_component_has_it():
    component = Resource(urn="urn:pulumi:prod::gantry::gantry:aws:Server::prod-0", outputs={"instance_id": ID})
    [server] = app_data.servers_in([component, instance()])
    assert server.id == ID


def test_the_machine_of_a_balancer_is_no_server():
    component = "urn:pulumi:dev::gantry::gantry:local:Balancer$gantry:local:Server"
    machine = f"{component}$pulumi-python:dynamic/gantry/local:Machine::dev-balancer"
    outputs = {"machine_id": "i-00000000"}
    assert (
        app_data.servers_in([Resource(urn=urn, outputs=outputs) for urn in (f"{component}::dev-balancer", machine)])
        == []
    )


def test_an_exported_state_shows_secrets_and_servers_that_wait_for_their_deletion():
    secret = {app_data._SECRET: "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps({"host": "203.0.113.7"})}
    resource = {"urn": SERVER, "id": ID, "delete": True, "outputs": {"connection": secret, "list": [1]}}
    [read] = app_data.resources_of({"resources": [resource]})
    assert (read.outputs["connection"], read.outputs["id"], read.is_pending) == ({"host": "203.0.113.7"}, ID, True)
    hidden = {**resource, "outputs": {"connection": {app_data._SECRET: "1b47", "ciphertext": "v1:x"}}}
    assert app_data.resources_of({"resources": [hidden]})[0].outputs["connection"] is None
    assert app_data.resources_of({}) == []


class SshAnswers:
    """In place of ssh: one answer for each login, as exit status and output."""

    def __init__(self, *answers: tuple[int, str] | Exception) -> None:
        self.answers = list(answers)
        self.addresses: list[str] = []

    def run(
        self, login: ssh.Login, words: list[str], *, timeout: float, stdin: bytes | Path = b""
    ) -> subprocess.CompletedProcess[bytes]:
        assert (words, stdin) == ([app_data.COUNT], app_data.SCRIPT)
        self.addresses.append(login.address)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return subprocess.CompletedProcess(words, answer[0], answer[1].encode(), b"the reason\n")


def server_with(
    monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, str] | Exception
) -> tuple[StateServer, SshAnswers]:
    ssh_answers = SshAnswers(*answers)
    monkeypatch.setattr(ssh, "run", ssh_answers.run)
    monkeypatch.setattr(app_data, "PAUSE_SECONDS", 0)
    second = ssh.Login("198.51.100.1", "deploy", "OWN", "key")
    return StateServer(urn=SERVER, name="prod-0", target="aws", id=ID, logins=(LOGIN, second)), ssh_answers


COUNTED = '{"files": 12, "bytes": 3400000, "on_volume": false}'


def test_a_server_is_asked_at_its_other_address_and_once_more(monkeypatch: pytest.MonkeyPatch):
    server, answers = server_with(monkeypatch, (255, ""), (255, ""), (0, COUNTED))
    assert str(app_data.read(server)) == "12 files (3.4 MB)"
    assert answers.addresses == ["203.0.113.7", "198.51.100.1", "203.0.113.7"]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([(255, "")] * 4, "203.0.113.7 doesn't answer over SSH (the reason)"),
        ([(1, "")], "203.0.113.7 can't count its files (the reason)"),
        ([(0, "[]")], "203.0.113.7 can't count its files (the reason)"),
        ([subprocess.TimeoutExpired("ssh", 60)], "203.0.113.7 didn't count its files within 60 s"),
        ([FileNotFoundError("ssh")], "ssh can't be run: ssh"),
    ],
)
def test_a_server_that_cant_be_asked_counts_as_one_with_files(
    answers: list[tuple[int, str] | Exception], reason: str, monkeypatch: pytest.MonkeyPatch
):
    server, ssh_answers = server_with(monkeypatch, *answers)
    with pytest.raises(UnreadableError) as error:
        app_data.read(server)
    assert (str(error.value), ssh_answers.answers) == (reason, [])
    ssh_answers.answers = list(answers)
    [loss] = data_loss.Survey().losses([server])
    assert str(loss) == f"{reason}, so its /var/lib/app counts as one with files"


def test_nothing_is_lost_on_a_volume_without_a_release_or_with_a_local_machine_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
):
    server, answers = server_with(monkeypatch)
    servers = [
        StateServer(urn=SERVER, name="prod-0", target="aws", id=ID, logins=server.logins, has_volume=True),
        StateServer(urn=SERVER, name="prod-1", target="aws", id="i-1"),
        StateServer(urn=SERVER, name="dev-0", target="local", id="i-00000000", logins=server.logins),
    ]
    monkeypatch.setattr(machine, "status", lambda _id: "gone")
    assert data_loss.Survey().losses(servers) == []
    assert answers.addresses == []
    monkeypatch.setattr(machine, "status", lambda _id: "stopped")
    answers.answers += [(0, '{"files": 1, "bytes": 1, "on_volume": true}')]
    assert data_loss.Survey().losses(servers) == []


def loss(name: str, id: str, contents: Contents | None) -> data_loss.Loss:
    server = StateServer(urn=f"{SERVER[:-6]}{name}", name=name, target="aws", id=id)
    return data_loss.Loss(server=server, contents=contents, reason="203.0.113.7 doesn't answer over SSH")


def test_a_refusal_names_files_bytes_and_the_ways_on_with_the_volume_first():
    losses = [loss("prod-0", ID, Contents(files=1, bytes=1))]
    assert data_loss.refusal(losses, event="is replaced", stack="prod", lost=[], can_have_volume=True) == (
        "prod-0 is replaced: its /var/lib/app has 1 file (1 byte), deleted with the server\n"
        "Nothing has been deleted. The ways on:\n"
        "  - Keep the data on a volume, which outlives its server. Undo the change, and run `up` with this setting."
        " Then make the change again:\n"
        "      pulumi config set --stack prod storage 20\n"
        "  - Copy the data, and then do as below. The new server gets it with bin/data --stack prod push:\n"
        "      bin/data --stack prod pull prod-0\n"
        "  - Lose the data, and run `up` again. An id counts once: a new server has another one:\n"
        f"      pulumi config set --stack prod loseData {ID}"
    )


def test_a_refusal_of_several_servers_has_one_command_and_offers_no_volume():
    losses = [loss("dev-0", "i-1", Contents(files=2, bytes=1234)), loss("dev-1", "i-2", None)]
    text = data_loss.refusal(losses, event="is removed", stack="dev", lost=["i-0"], can_have_volume=False)
    assert "dev-0 is removed: its /var/lib/app has 2 files (1.2 kB)" in text
    assert "dev-1 is removed: 203.0.113.7 doesn't answer over SSH, so its /var/lib/app counts as one with files" in text
    assert "pulumi config set loseData i-0,i-1,i-2" in text and "bin/pulumi refresh" in text
    assert "storage" not in text


def test_destroy_says_about_each_server_what_is_deleted():
    lost = loss("dev-0", "i-1", Contents(files=2, bytes=1234))
    empty, kept = (
        StateServer(urn=f"{SERVER}-{name}", name=name, target="aws", id=id, has_volume=has_volume)
        for name, id, has_volume in (("dev-1", "i-2", False), ("dev-2", "i-3", True))
    )
    assert data_loss.farewell([lost.server, empty, kept], [lost]) == [
        "dev-0 (i-1): its /var/lib/app has 2 files (1.2 kB), deleted with the server",
        "dev-1 (i-2): its /var/lib/app has no files",
        "dev-2 (i-3): the data is on a volume",
    ]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_999, "1.0 MB"), (5 * 10**12, "5000.0 GB")],
)
def test_sizes_are_for_people(size: int, text: str):
    assert app_data.size_text(size) == text
