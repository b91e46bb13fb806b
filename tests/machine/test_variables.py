"""Variables that arrive as they were set, and are seen by nobody else. The tests share one server."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.variables import MAX_BYTES
from tests.machine import diagnostic_app as driven
from tests.machine.diagnostic_app import Server, write

pytestmark = pytest.mark.machine

VALUES = {
    "newlines": "a\n\nb\r\n\n",
    "quotes": '\'"`\' "" ``',
    "dollars": "$HOME ${HOME} $(id) $$ \\$HOME",
    "percent": "%i %% %n %",
    "backslashes": "\\ \\\\ \\n \\\n \\u0041 \\",
    "unicode": "ü€😀\u2028\u00a0\ufeff\u0301",
    "blanks": " \t lead and trail \t ",
    "empty": "",
    "control": "\x01\x07\x1b[31m\x7f",
    "comment": "# not ; a comment",
    "assignment": 'A="b"\nB=c',
    "large": "x" * 100_000,
    "largest": "y" * (MAX_BYTES - len("VALUE=")),
    "lines": "line of a key\n" * 5000,
}


@pytest.fixture(scope="module")
def server(base_image: str, ssh_key: Path) -> Iterator[Server]:
    with driven.booted(ssh_key) as server:
        yield server


@pytest.fixture(scope="module")
def release(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    return server.upload(write(tmp_path_factory.mktemp("variables") / "app", requirements_txt=""))


def variables(server: Server, marked: str) -> dict[str, str]:
    """What the app sees; Nginx may ask the old instance for a second more."""
    deadline = time.monotonic() + 5
    while (found := json.loads(server.page("variables"))).get("MARK") != marked:
        assert time.monotonic() < deadline, "the new instance doesn't answer"
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_arrives_unchanged(server: Server, release: str, kind: str):
    server.serve(release, MARK=kind, VALUE=VALUES[kind])
    assert variables(server, kind)["VALUE"] == VALUES[kind]


def test_the_app_gets_the_names_of_its_release_and_stack_and_no_port(server: Server, release: str):
    server.serve(release, MARK="names")
    found = variables(server, "names")
    assert (found["RELEASE"], found["GANTRY_STACK"]) == (release, "test")
    assert "PORT" not in found


def test_only_root_can_read_the_variables_file_and_it_is_removed_with_its_deployment(server: Server, release: str):
    server.serve(release, MARK="one")
    server.serve(release, MARK="two")
    variables(server, "two")
    time.sleep(1)  # the old instance ends
    server.serve(release, MARK="two")  # prunes it
    listed = server.ssh("sudo find /etc/gantry/environment -printf '%y %m %u %g %f\\n'").splitlines()
    folder, *files = sorted(listed)
    assert folder == "d 700 root root environment"
    assert [line.rpartition(" ")[0] for line in files] == ["f 600 root root"]


def test_a_secret_is_in_its_own_file_and_in_no_command_line_journal_or_other_file(server: Server, release: str):
    first, second = secrets.token_hex(8), secrets.token_hex(8)
    secret = f"{first}\n$'\"{second}"
    server.serve(release, MARK="secret", TOKEN=secret)
    assert variables(server, "secret")["TOKEN"] == secret
    everything = server.script(
        "cat /proc/[0-9]*/cmdline; ps -eo args; systemctl show 'gantry-web@*'; systemctl show-environment;"
        "journalctl --no-pager --output=export; cat /var/lib/cloud/instance/user-data.txt 2>/dev/null"
    )
    assert "gantry-web@" in everything
    assert first not in everything
    assert second not in everything
    own = server.script("ls -d /etc/gantry/environment/$(basename $(readlink /var/lib/gantry/current))")
    searched = "/etc /opt /var/lib /var/log /var/cache /run /tmp /home /root"
    assert server.script(f"grep -rlF -e {first} -e {second} {searched} 2>/dev/null || true") == own


def test_a_changed_variable_alone_must_pass_the_same_health_check(server: Server, tmp_path: Path):
    app = write(tmp_path / "app", requirements_txt="")
    (app / "app.py").write_text(
        driven.APP + '\nif os.environ["MARK"] == "bad":\n    raise SystemExit("no such colour")\n'
    )
    release = server.upload(app)
    server.serve(release, MARK="good")
    variables(server, "good")
    assert "no such colour" in server.refused(release, MARK="bad")
    assert variables(server, "good")
    assert "unpack         0.00 s  already here" in server.serve(release, MARK="better")
    variables(server, "better")
