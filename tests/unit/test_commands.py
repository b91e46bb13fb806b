from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.server import commands
from components.server.configuration import configuration
from components.settings.common import Settings
from host.cron import Entry
from tests.stack_settings import make_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(app=tmp_path, domain="rocket.test", watch=10)


def release_command(settings: Settings) -> str:
    return commands.release("3f2a91c0ffee", configuration(settings, "/h.pyz"), settings)


def test_the_release_command_shows_process_counts_and_cron_so_that_a_preview_does_too(settings: Settings):
    with_processes = replace(settings, processes={"worker": 2, "a": 0}, cron=(Entry("0 3 * * *", "python it's.py"),))
    words = shlex.split(release_command(with_processes))
    flags = ["--process", "a=0", "--process", "worker=2", "--cron", "0 3 * * *", "python it's.py"]
    flags += ["--singleton", "beat", "--singleton", "clock", "--singleton", "scheduler", "--link-defaults"]
    assert words[6:20] == flags
    config = configuration(with_processes, "/h.pyz")
    prepare = shlex.split(commands.prepare("3f2a91c0ffee", config, with_processes))
    assert prepare == ["sudo", "gantry", "prepare", *words[3:6], *flags]
    assert config == configuration(settings, "/h.pyz")


def test_usual_paths_are_linked_on_a_single_server_or_if_each_server_may_have_its_own_data(settings: Settings):
    def flags(**changes: Any) -> list[str]:
        return [word for word in shlex.split(release_command(replace(settings, **changes))) if "link" in word]

    assert flags() == flags(servers=2, linked_paths_per_server=True) == ["--link-defaults"]
    assert flags(servers=2) == []
    words = shlex.split(release_command(replace(settings, linked_paths=("media/", "it's.db"))))
    assert words[words.index("--link") :][:4] == ["--link", "media/", "--link", "it's.db"]


def test_the_release_command_changes_with_gunicorns_settings_but_not_with_the_site(settings: Settings):
    def command(changed: Settings) -> str:
        return commands.release("3f2a91c0ffee", configuration(changed, "/h.pyz"), settings)

    assert command(settings) != command(replace(settings, threads=5))
    assert command(settings) == command(replace(settings, domain="other.test"))


def test_a_health_path_with_a_query_is_one_word_of_the_command(settings: Settings):
    words = shlex.split(release_command(replace(settings, health_path="/health?a=1&b=$(x)")))
    assert words[words.index("--health") + 1] == "/health?a=1&b=$(x)"


def test_the_release_command_shows_health_check_and_watch(settings: Settings):
    flags = "--health /healthz --host rocket.test --timeout 30 --watch 10"
    assert release_command(settings).endswith(flags)
    strict = replace(settings, health_status=204, health_timeout=5, watch=0, health_interval=2.5)
    flags = "--health /healthz --host rocket.test --timeout 5 --watch 0 --expect 204 --interval 2.5"
    assert release_command(strict).endswith(flags)


@pytest.mark.parametrize(
    ("changes", "https"), [({}, True), ({"balancer": False}, False), ({"zone": None}, False), ({"domain": None}, False)]
)
def test_the_health_check_asks_with_https_if_the_balancer_has_a_certificate(changes: dict[str, Any], https: bool):
    for target in ("aws", "digitalocean"):
        values = {"domain": "rocket.test", "balancer": True, "target": target, "zone": "rocket.test", **changes}
        assert ("--scheme https" in release_command(make_settings(**values))) == https


def test_the_release_input_adds_release_and_stack_to_the_apps_variables():
    stdin = json.loads(commands.release_input({"A": "b"}, release="3f2a91c0ffee", stack="dev"))
    variables = {"A": "b", "RELEASE": "3f2a91c0ffee", "GANTRY_STACK": "dev"}
    assert stdin == {"variables": variables, "revision": None}
    stdin = json.loads(commands.release_input({}, release="3f2a91c0ffee", stack="dev", revision="v2"))
    assert stdin["revision"] == "v2"
