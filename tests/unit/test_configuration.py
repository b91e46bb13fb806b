"""Units and Gunicorn settings of a server, and the document with its configuration. test_site.py has the site."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from components.server.configuration import PATHS, WEB_UNIT, configuration
from components.server.program_files import program_files
from components.server.templates import text
from components.settings.common import Settings
from host.health_check import HealthCheck
from tests.stack_settings import balancer_files, make_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(app=tmp_path, domain="rocket.test", watch=10)


def units(settings: Settings) -> dict[str, list[str]]:
    """The lines of the services that run the app's code, by kind."""
    files = configuration(settings, "/h.pyz").files
    return {
        kind: files[f"/etc/systemd/system/gantry-{kind}@.service"].splitlines()
        for kind in ("web", "release", "process", "cron", "build", "port")
    }


def gunicorn_settings(settings: Settings) -> str:
    return configuration(settings, "/h.pyz").files["/etc/gantry/gunicorn.conf.py"]


def test_gunicorn_listens_on_a_unix_socket_and_nowhere_else(settings: Settings):
    unit = configuration(settings, "/h.pyz").files[WEB_UNIT]
    assert re.findall(r"--bind (\S+)", unit) == ['unix:/run/gantry/%i.sock"']


@pytest.mark.parametrize(
    "directive",
    [
        "User=app",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "CapabilityBoundingSet=",
        "IPAddressDeny=169.254.0.0/16 fd00:ec2::254 fd00:ec2::23",
        "TemporaryFileSystem=/dev/shm:rw,nosuid,nodev,noexec,mode=1777,size=50%",
    ],
)
def test_the_web_unit_is_sandboxed(settings: Settings, directive: str):
    assert directive in units(settings)["web"]


def test_all_units_that_run_the_apps_code_have_the_same_sandbox(settings: Settings):
    def sandbox(lines: list[str]) -> list[str]:
        return [line for line in lines if line in expected]

    expected = {line for line in text("sandbox.service.j2").splitlines() if not line.startswith("#")}
    lines_by_kind = units(settings)
    assert len(sandbox(lines_by_kind["web"])) == len(expected) > 25
    for kind, lines in lines_by_kind.items():
        assert sandbox(lines) == sandbox(lines_by_kind["web"]), kind


def test_only_the_web_process_and_crons_lock_may_write_to_the_folder_of_sockets(settings: Settings):
    kinds = {kind for kind, lines in units(settings).items() if "ReadWritePaths=/run/gantry" in lines}
    assert kinds == {"web", "cron"}


@pytest.mark.parametrize("kind", ["web", "process", "cron"])
def test_a_program_below_a_shell_is_stopped_before_its_shell(settings: Settings, kind: str):
    lines = units(settings)[kind]
    assert {
        "ExecStop=/usr/local/lib/gantry/stop $MAINPID",
        "ExecStop=+/usr/bin/env -i PATH=/usr/bin:/bin /usr/local/lib/gantry/stop $MAINPID",
    } & {*lines}
    # systemd doesn't run ExecStop for a oneshot service that is stopped while it runs.
    assert "Type=exec" in lines


def test_only_root_and_the_app_may_connect_to_the_apps_ports(settings: Settings):
    firewall = configuration(settings, "/h.pyz").files["/etc/nftables.conf"]
    assert firewall.startswith(text("first-boot/firewall.nft"))
    rules = "tcp dport 20000-29999 meta skuid != { root, app } reject", "tcp dport 30000 meta skuid != root reject"
    assert all(f"oif lo {rule}" in firewall for rule in rules)


def test_the_time_limits_of_processes_are_those_of_the_settings(settings: Settings):
    lines_by_kind = units(replace(settings, release_timeout=77, stop_timeout=88))
    assert "TimeoutStartSec=77" in lines_by_kind["release"]
    assert "TimeoutStopSec=88" in lines_by_kind["process"]
    assert "TimeoutStopSec=88" in lines_by_kind["cron"]


def test_systemd_waits_longer_for_in_flight_requests_than_gunicorn(settings: Settings):
    graceful = int(re.findall(r"graceful_timeout = (\d+)", gunicorn_settings(settings))[0])
    stop = int(re.findall(r"TimeoutStopSec=(\d+)", configuration(settings, "/h.pyz").files[WEB_UNIT])[0])
    assert stop > graceful


def test_gunicorns_settings_are_python_with_the_numbers_of_the_settings(settings: Settings):
    lines = gunicorn_settings(replace(settings, workers=7, threads=3))
    compile(lines, "gunicorn.conf.py", "exec")
    assert "workers = 7\nthreads = 3\n" in lines


def test_the_document_has_a_line_for_each_line_of_a_file(settings: Settings):
    config = configuration(settings, "/h.pyz")
    document = json.loads(config.document())
    assert {path: "\n".join(lines) for path, lines in document["files"].items()} == config.files
    assert any("return 301" in line and line.count(";") == 1 for line in config.document().splitlines())


def test_the_host_program_brings_the_files_of_the_default_settings_and_the_document_the_others(settings: Settings):
    config = configuration(replace(settings, start_timeout=120), "/h.pyz", ["10.9.0.0/16"], restricted=True)
    document = json.loads(config.document(program_files()))
    contents = {path: "\n".join(lines) for path, lines in document["files"].items()}
    assert {**contents, **{path: program_files()[path] for path in document["program_files"]}} == config.files
    own = {PATHS.site, PATHS.gunicorn_settings, PATHS.health_settings}
    depends_on_balancer = {PATHS.admitted_rules, PATHS.unlimited_rules}
    assert set(contents) == {*map(str, own | depends_on_balancer), WEB_UNIT}


def test_memory_and_processes_of_the_app_are_limited_by_shares_of_the_machine(settings: Settings):
    limits = {"MemoryHigh=65%", "MemoryMax=70%"}
    config = configuration(replace(settings, memory_limit=70), "/h.pyz")
    for kind, lines in units(replace(settings, memory_limit=70)).items():
        assert ({*limits, "Slice=gantry.slice", "TasksMax=30%"} <= {*lines}) is (kind != "port"), kind
    assert limits <= {*config.files["/etc/systemd/system/gantry.slice"].splitlines()}


def test_a_process_that_is_killed_for_memory_does_not_end_the_others_of_its_unit(settings: Settings):
    kinds = {kind for kind, lines in units(settings).items() if "OOMPolicy=continue" in lines}
    # A build or a release phase that lost a process has failed.
    assert kinds == {"web", "process", "cron"}


@pytest.mark.parametrize(("setting", "word"), [(None, "auto"), (0, "0"), (4, "4")])
def test_the_swap_file_has_the_size_of_the_setting_and_no_local_machine_gets_one(
    settings: Settings, setting: int | None, word: str
):
    config = configuration(replace(settings, swap=setting), "/h.pyz")
    lines = config.files["/etc/systemd/system/gantry-swap.service"].splitlines()
    assert {f"ExecStart=/usr/local/bin/gantry swap {word}", "ConditionVirtualization=!container"} <= {*lines}
    assert config.links["/etc/systemd/system/multi-user.target.wants/gantry-swap.service"] == "../gantry-swap.service"


def test_systemd_restarts_every_daemon_of_a_server_and_of_a_balancer_without_an_end(settings: Settings):
    on_server = configuration(settings, "/h.pyz").files
    on_balancer = balancer_files()
    for files in (on_server, on_balancer):
        for daemon in ("nginx", "ssh", "systemd-journald", "systemd-networkd", "systemd-resolved"):
            lines = files[f"/etc/systemd/system/{daemon}.service.d/gantry-restart.conf"].splitlines()
            assert {"Restart=always", "StartLimitIntervalSec=0", "OOMPolicy=continue"} <= {*lines}
            delays = [line for line in lines if line.startswith(("RestartSec", "RestartMaxDelaySec"))]
            assert delays == ["RestartSec=200ms", "RestartMaxDelaySec=800ms"]
        assert "Restart=always" in files["/etc/systemd/system/gantry-firewall.service"].splitlines()
    assert "Restart=on-abnormal" in on_server["/etc/systemd/system/gantry.service"].splitlines()


def test_what_is_checked_on_a_server_is_the_health_check_of_the_settings(settings: Settings):
    document = json.loads(
        configuration(replace(settings, health_status=204), "/h.pyz").files["/etc/gantry/health.json"]
    )
    assert HealthCheck(**document).status == 204
    assert HealthCheck(**document).host == "rocket.test"
