"""The app's environment variables arrive unchanged, and nobody else can read them. The tests share one server."""

from __future__ import annotations

import json
import re
import secrets
import time
from pathlib import Path

import pytest

from components.settings.env import MAX_BYTES
from host.ports import APP_PORTS
from tests.machine.diagnostic_app import APP, DiagnosticAppServer, write_app

pytestmark = pytest.mark.machine
SERVER_CLASS = DiagnosticAppServer

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
def release(server: DiagnosticAppServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    return server.upload_app(write_app(tmp_path_factory.mktemp("variables") / "app", requirements_txt=""))


def variables(server: DiagnosticAppServer, mark: str) -> dict[str, str]:
    """The variables of the deployment with this MARK. Nginx may still send requests to the old one for a second."""
    deadline = time.monotonic() + 5
    while (variables := json.loads(server.page("variables"))).get("MARK") != mark:
        assert time.monotonic() < deadline, "the new deployment doesn't answer"
        time.sleep(0.1)
    return variables


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_arrives_unchanged(server: DiagnosticAppServer, release: str, kind: str):
    server.release(release, MARK=kind, VALUE=VALUES[kind])
    assert variables(server, kind)["VALUE"] == VALUES[kind]


def test_the_app_gets_the_names_of_its_release_and_stack_and_a_port_of_its_own(
    server: DiagnosticAppServer, release: str
):
    ports = set[str]()
    for mark in ("names", "names again"):
        server.release(release, MARK=mark)
        app_variables = variables(server, mark)
        assert (app_variables["RELEASE"], app_variables["GANTRY_STACK"]) == (release, "test")
        assert int(app_variables["PORT"]) in APP_PORTS
        ports.add(app_variables["PORT"])
    assert len(ports) == 2


def test_only_root_can_read_the_variables_file_and_it_is_removed_with_its_deployment(
    server: DiagnosticAppServer, release: str
):
    server.release(release, MARK="one")
    server.release(release, MARK="two")
    variables(server, "two")
    time.sleep(1)  # the old deployment ends
    server.release(release, MARK="two")  # removes its files
    entries = server.ssh("sudo find /etc/gantry/environment -printf '%y %m %u %g %f\\n'").splitlines()
    folder, *files = sorted(entries)
    assert folder == "d 700 root root environment"
    assert [line.rpartition(" ")[0] for line in files] == ["f 600 root root"]


def test_a_secret_is_in_its_own_file_and_in_no_command_line_journal_or_other_file(
    server: DiagnosticAppServer, release: str
):
    first, second = secrets.token_hex(8), secrets.token_hex(8)
    secret = f"{first}\n$'\"{second}"
    server.release(release, MARK="secret", TOKEN=secret)
    assert variables(server, "secret")["TOKEN"] == secret
    everything = server.script(
        "cat /proc/[0-9]*/cmdline; ps -eo args; systemctl show 'gantry-web@*'; systemctl show-environment;"
        "journalctl --no-pager --output=export; cat /var/lib/cloud/instance/user-data.txt 2>/dev/null"
    )
    assert "gantry-web@" in everything
    assert first not in everything
    assert second not in everything
    own_file = server.script("ls -d /etc/gantry/environment/$(basename $(readlink /var/lib/gantry/current))")
    folders = "/etc /opt /var/lib /var/log /var/cache /run /tmp /home /root"
    assert server.script(f"grep -rlF -e {first} -e {second} {folders} 2>/dev/null || true") == own_file


def test_a_changed_variable_alone_must_pass_the_same_health_check(server: DiagnosticAppServer, tmp_path: Path):
    app = write_app(tmp_path / "app", requirements_txt="")
    (app / "app.py").write_text(APP + '\nif os.environ["MARK"] == "bad":\n    raise SystemExit("no such colour")\n')
    release = server.upload_app(app)
    server.release(release, MARK="good")
    variables(server, "good")
    assert "no such colour" in server.failing_release(release, MARK="bad")
    assert variables(server, "good")
    assert re.search(r"^unpack +\S+ s  already here$", server.release(release, MARK="better"), re.MULTILINE)
    variables(server, "better")
