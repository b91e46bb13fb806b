"""The settings of security updates, and the files that they make on servers and on the local target's balancer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from components.server.configuration import configuration
from components.server.program_files import program_files
from components.server.updates import updates
from components.settings.common import Settings
from host import systemd, update_window
from host.configure import Configuration, configure
from host.paths import Paths
from tests.stack_settings import balancer_files, make_settings, mistakes, read

PATHS = Paths()
SETTINGS, APT = str(PATHS.update_settings), str(PATHS.apt_updates)


def server_files(**changes: Any) -> dict[str, str]:
    return configuration(make_settings(**changes), "/h.pyz").files


def document(**changes: Any) -> dict[str, Any]:
    return json.loads(server_files(**changes)[SETTINGS])


def test_security_updates_are_on_by_default_and_a_server_alone_does_not_reboot():
    window = Settings().update_window
    assert window and update_window.parse(window).slots == 8
    assert document() == {"window": window, "days": 1, "number": None, "drains": False, "reboots": False}
    assert program_files()[SETTINGS] == server_files()[SETTINGS]


@pytest.mark.parametrize("window", ["3-5", "05:00", "03:00-03:10", "03:00-25:00", "off"])
def test_a_wrong_window_is_named_with_the_rule_and_the_command(tmp_path: Path, window: str):
    text = mistakes(tmp_path, app=".", updateWindow=window)
    assert "updateWindow" in text and repr(window) in text
    assert "must be none, or a span of at least 15 minutes in UTC, such as 03:00-05:00" in text
    assert "pulumi config set updateWindow <value>" in text


def test_none_leaves_updates_to_the_image(tmp_path: Path):
    assert read(tmp_path, app=".", updateWindow="none").update_window is None
    files = server_files(update_window=None)
    assert json.loads(files[SETTINGS])["window"] is None
    assert not re.search("^[^/]", files[APT], re.MULTILINE), "only comments"


@pytest.mark.parametrize(
    ("setting", "servers", "reboots"),
    [
        ("balanced", 1, False),
        ("balanced", 2, True),
        ("always", 1, True),
        ("never", 3, False),
    ],
)
def test_reboots_are_allowed_if_other_servers_serve_or_the_setting_says_so(setting: str, servers: int, reboots: bool):
    files = document(update_reboots=setting, servers=servers, balancer=True)
    assert (files["reboots"], files["drains"]) == (reboots, servers > 1)


def test_a_clouds_balancer_has_no_slot():
    aws = make_settings(target="aws", servers=8, balancer=True)
    assert updates(aws).servers == 8
    assert updates(make_settings(servers=8, balancer=True)).servers == 9


def test_servers_and_their_balancer_have_a_slot_each():
    settings = make_settings(servers=8, balancer=True)
    balancer = json.loads(balancer_files(servers=8, balancer=True)[SETTINGS])
    assert balancer == {"window": settings.update_window, "days": 2, "number": 8, "drains": False, "reboots": False}
    assert document(servers=8, balancer=True)["days"] == 2
    assert document(servers=7, balancer=True) == document(servers=2, balancer=True), "no change when servers come"


def test_debians_own_timers_install_nothing_and_do_not_reboot():
    text = server_files()[APT]
    assert 'APT::Periodic::Enable "0";' in text
    assert 'Automatic-Reboot "false"' in text
    assert "Origins" not in text, "Debian's own list stays"


@pytest.mark.parametrize("name", ["nginx", "gantry-web@0a1b-2c3d", "gantry-process@0a1b-worker-1", "gantry-updates"])
def test_needrestart_leaves_nginx_and_the_app_to_gantry(name: str):
    assert re.match(systemd.OWN_UNITS, f"{name}.service")
    assert f"->{{qr({systemd.OWN_UNITS})}} = 0;" in server_files()[str(PATHS.needrestart_settings)]


@pytest.mark.parametrize("name", ["ssh", "gantry-firewall", "systemd-journald", "nginxy"])
def test_needrestart_restarts_other_daemons(name: str):
    assert not re.match(systemd.OWN_UNITS, f"{name}.service")


def test_only_one_of_several_servers_can_refuse_new_connections():
    firewall = str(PATHS.firewall)
    assert f'include "{PATHS.drain_rule}*"' in server_files(servers=2, balancer=True)[firewall]
    assert "draining" not in server_files(balancer=True)[firewall]


def test_a_changed_window_restarts_the_timer_once(tmp_path: Path):
    commands = list[str]()

    def apply(window: str) -> list[str]:
        commands.clear()
        names = (SETTINGS, str(PATHS.units / "gantry-updates.timer"))
        files = {name: content for name, content in server_files(update_window=window).items() if name in names}
        configure(Paths(tmp_path), Configuration(files, {}), lambda command: commands.append(" ".join(command)))
        return commands

    restart = ["systemctl daemon-reload", "systemctl restart gantry-updates.timer"]
    assert apply("03:00-05:00") == restart
    assert apply("03:00-06:00") == []
    assert apply("04:00-06:00") == restart
    assert "OnCalendar=*-*-* 0" in Paths(tmp_path).update_slot.read_text()
