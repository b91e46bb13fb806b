"""The two logins: the files that restrict one of them, the script that creates the other, and who uses which."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components import ssh, unmounting
from components.server import commands, logins
from components.server.configuration import configuration
from components.server.user_data import USER
from components.settings.common import Settings
from host import cli, variables
from host.errors import ReleaseError
from host.paths import Paths
from tests.stack_settings import balancer_files
from tools import login
from tools.setup import site_check

RULES, SSH_SETTINGS = str(Paths().deploy_rules), str(Paths().ssh_settings)
OLD_OUTPUTS = {"servers": [{"name": "dev-0", "address": "a", "instance_id": "i", "host_key": "OWN"}], "ssh_key": "key"}


def allowed(files: dict[str, str]) -> list[str]:
    """The commands that the rules allow, in their order."""
    return re.findall(r"^deploy ALL=\(root\) NOPASSWD: (.*)$", files[RULES], re.MULTILINE)


def test_the_rules_take_everything_away_before_they_allow_commands():
    lines = [line for line in logins.files()[RULES].splitlines() if not line.startswith("#")]
    assert lines[0] == "deploy ALL=(ALL:ALL) !ALL"
    assert len(lines) == 1 + len(allowed(logins.files()))
    # Files of sudoers.d count in this order, and only those without a dot.
    assert sorted(["90-cloud-init-users", "README", Path(RULES).name])[-1] == Path(RULES).name
    assert "." not in Path(RULES).name


def matches(command: str, rule: str) -> bool:
    """Whether a rule of sudo allows the command: its program by its path, and its arguments by the pattern."""
    program, _, arguments = command.partition(" ")
    path, _, pattern = rule.partition(" ")
    if Path(path).name != Path(program).name:
        return False
    if pattern == '""':
        return not arguments
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), arguments) is not None


@pytest.mark.parametrize(
    "command",
    [
        commands.READY,
        commands.release("3f2a91c0ffee", configuration(Settings(), "/h.pyz"), Settings()),
        commands.prepare("3f2a91c0ffee", configuration(Settings(), "/h.pyz"), Settings()),
        commands.ROLL_BACK.format(seconds=10),
        unmounting.UNMOUNT.format(seconds=60),
        "sudo gantry wait-for-balancer --settle 5 --limit 60 --from 10.0.0.0/16",
        "sudo gantry close",
        "sudo gantry close --patience 60",
        f"sudo touch {Paths().draining}",
        f"sudo rm -f {Paths().draining}",
    ],
)
def test_every_command_of_a_rollout_is_allowed(command: str):
    assert any(matches(command.removeprefix("sudo "), rule) for rule in allowed(logins.files()))


@pytest.mark.parametrize(
    "command",
    [
        "bash",
        "python3 -I -",
        "python3 -I /opt/gantry/program-uploads/host-1.pyz configure",
        "gantry configure",
        "gantry check --repair",
        "gantry mount-volume /etc --size 1",
        "/usr/local/lib/gantry/ready now",
        "/usr/local/lib/gantry/host-key swap",
        f"touch {Paths().draining} /etc/x",
        f"rm -f {Paths().draining} /etc/x",
    ],
)
def test_a_command_that_may_change_any_file_is_refused(command: str):
    assert not any(matches(command, rule) for rule in allowed(logins.files()))


def test_a_balancer_needs_only_the_first_command():
    files = balancer_files(["10.77.0.2"])
    assert allowed(files) == ['/usr/local/lib/gantry/ready ""']
    assert files[SSH_SETTINGS] == logins.files()[SSH_SETTINGS]


def test_only_a_restricted_configuration_has_the_files():
    assert not {RULES, SSH_SETTINGS} & set(configuration(Settings(), "/h.pyz").files)
    assert logins.files().items() <= configuration(Settings(), "/h.pyz", restricted=True).files.items()


def test_ssh_gives_the_login_for_releases_neither_a_terminal_nor_forwarding():
    text = logins.files()[SSH_SETTINGS]
    block = text.partition("Match User deploy\n")[2].split("\n")
    assert {"DisableForwarding yes", "PermitTTY no", "PermitTunnel no", "PermitUserRC no"} <= {*map(str.strip, block)}
    assert f"    AuthorizedKeysFile {Paths().deploy_key}" in block


def test_the_plugin_and_older_ssh_clients_have_a_key_exchange_in_common_with_a_server():
    exchanges = re.findall(r"^KexAlgorithms (.*)$", logins.files()[SSH_SETTINGS], re.MULTILINE)[0].split(",")
    # golang.org/x/crypto 0.48, which the plugin 1.2.1 is built with, offers the first; OpenSSH 8.5 the second.
    assert {"mlkem768x25519-sha256", "sntrup761x25519-sha512@openssh.com"} <= {*exchanges}


def test_the_script_quotes_keys_and_restricts_the_key_for_releases():
    script = logins.creation("ssh-ed25519 ADMIN", "ssh-ed25519 DEPLOY")
    assert subprocess.run(["sh", "-n"], input=script, text=True).returncode == 0
    assert f"printf 'restrict %s\\n' 'ssh-ed25519 DEPLOY' > {Paths().deploy_key}" in script
    assert "printf '%s\\n' 'ssh-ed25519 ADMIN' > ~admin/.ssh/authorized_keys" in script


def test_the_script_does_nothing_on_a_server_with_both_logins_and_says_why_other_keys_are_refused(tmp_path: Path):
    script = logins.creation("ssh-ed25519 ADMIN", "ssh-ed25519 DEPLOY")
    keys = tmp_path / "keys"
    keys.write_text("ssh-ed25519 ADMIN\nssh-ed25519 DEPLOY\n")
    # Like sudo on a restricted server.
    (tmp_path / "sudo").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "sudo").chmod(0o755)

    def run(text: str) -> subprocess.CompletedProcess[str]:
        text = text.replace(str(Paths().login_keys), str(keys))
        path = f"{tmp_path}:/usr/bin:/bin"
        return subprocess.run(["sh"], input=text, env={"PATH": path}, capture_output=True, text=True)

    assert (run(script).returncode, run(script).stderr) == (0, "")
    refused = run(logins.creation("ssh-ed25519 OTHER", "ssh-ed25519 DEPLOY"))
    assert refused.returncode == 1
    assert (
        "other login keys than the stack" in refused.stderr and "bin/pulumi up --replace '**-deploy'" in refused.stderr
    )


@pytest.mark.parametrize("release", ["../../../etc", "3f2a91c0ffee/..", "3F2A91C0FFEE", "", "3f2a91c0ffee\n"])
@pytest.mark.parametrize("name", ["release", "prepare"])
def test_a_release_is_named_by_its_digest_alone(name: str, release: str, capsys: pytest.CaptureFixture[str]):
    options = ["--settings", "s", "--health", "/", "--host", "h"] if name == "release" else []
    with pytest.raises(SystemExit):
        cli.main([name, release, *options])
    assert "isn't a release" in capsys.readouterr().err


def test_the_mask_of_the_login_closes_no_file_to_the_app():
    before = os.umask(0o077)
    try:
        with pytest.raises(SystemExit):
            cli.main(["--help"])
        assert os.umask(0) == 0o022
    finally:
        os.umask(before)


@pytest.mark.parametrize("path", ["/etc/passwd", "a/../../b", ".."])
def test_a_linked_path_is_below_the_apps_folder(path: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["prepare", "3f2a91c0ffee", "--link", path])
    assert "isn't a path below the app's folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LD_PRELOAD", "/opt/gantry/releases/3f2a91c0ffee/evil.so"),
        ("LD_PRELOAD", "libc.so.6 ./evil.so"),
        ("LD_PRELOAD", "/usr/../opt/gantry/releases/x/evil.so"),
        ("LD_PRELOAD", "$ORIGIN"),
        ("LD_PRELOAD", "/usr/lib/$ORIGIN/evil.so"),
        ("LD_LIBRARY_PATH", "/usr/lib:"),
        ("LD_LIBRARY_PATH", "lib"),
        ("LD_LIBRARY_PATH", "/usr/lib;/var/lib/app"),
        ("LD_AUDIT", "/usr/lib/x.so"),
        ("GCONV_PATH", "/var/lib/app"),
        ("MAINPID", "1"),
        ("X=1\nLD_PRELOAD", "/var/lib/app/evil.so"),
        ("", "x"),
        ("X", 1),
    ],
)
def test_variables_give_programs_of_root_no_library_of_the_app(name: str, value: object):
    with pytest.raises(ReleaseError, match="variable"):
        variables.require_possible({"OTHER": "fine", name: value})


def test_variables_with_libraries_of_debian_are_possible():
    library = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
    texts = {"LD_LIBRARY_PATH": "/usr/lib/x:/usr/local/lib", "LD_SDK_KEY": "/var/lib/app", "EMPTY": ""}
    for preload in (library, "libjemalloc.so.2", f"{library}:libc.so.6", ""):
        variables.require_possible({**texts, "LD_PRELOAD": preload})


class Server:
    """In place of ssh: accepts one user."""

    def __init__(self, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.user = user
        monkeypatch.setattr(ssh, "run", self.run)
        monkeypatch.setattr(login, "PAUSE_SECONDS", 0)

    def run(self, login: ssh.Login, words: list[str], **_options: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(words, 0 if login.user == self.user else ssh.NO_CONNECTION, b"", b"")


def outputs(**server: Any) -> dict[str, Any]:
    """Those of a stack with two logins; ``server`` are more values of its server."""
    return {"servers": [{**OLD_OUTPUTS["servers"][0], **server}], "ssh_key": "admin's key", "deploy_key": "key"}


def test_people_log_in_as_admin_and_as_deploy_on_servers_that_have_no_other_user():
    assert login.server_in(outputs(user="admin"), "dev", None).login == ssh.Login("a", "admin", "OWN", "admin's key")
    for older in (OLD_OUTPUTS, outputs()):
        assert login.server_in(older, "dev", None).login == ssh.Login("a", USER, "OWN", "key")


@pytest.mark.parametrize(("user", "key"), [("deploy", "key"), ("admin", "admin's key")])
def test_after_a_failed_first_rollout_people_use_the_login_that_the_server_accepts(
    user: str, key: str, monkeypatch: pytest.MonkeyPatch
):
    Server(user, monkeypatch)
    found = login.server_in(outputs(first_host_key=True), "dev", None).login
    assert (found.user, found.private_key) == (user, key)


def test_make_up_repairs_a_machine_as_admin_and_one_of_an_earlier_version_as_deploy(monkeypatch: pytest.MonkeyPatch):
    used: list[tuple[str, str]] = []

    def run(login: ssh.Login, words: list[str], **_options: Any) -> subprocess.CompletedProcess[bytes]:
        used.append((login.user, login.private_key))
        return subprocess.CompletedProcess(words, 0, json.dumps([]).encode(), b"")

    monkeypatch.setattr(ssh, "run", run)
    for stack in (outputs(user="admin"), OLD_OUTPUTS):
        [machine] = site_check.machines_of(stack)
        site_check.over_ssh(stack)(machine)
    assert used == [("admin", "admin's key"), ("deploy", "key")]
