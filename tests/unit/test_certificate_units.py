"""The units that renew the certificate, on every server."""

from __future__ import annotations

import configparser
from typing import Any

import pytest

from components.server import certificate
from components.server.configuration import configuration
from components.server.program_files import program_files
from host import configure, systemd
from host.paths import Paths
from tests.stack_settings import make_settings

SERVICE = str(Paths().units / systemd.CERTIFICATE_SERVICE)
TIMER = str(Paths().units / systemd.CERTIFICATE_TIMER)


def unit(path: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # pyright: ignore[reportAttributeAccessIssue] (systemd's names have upper case)
    parser.read_string(certificate.files()[path])
    return parser


@pytest.mark.parametrize("changes", [{}, {"tls": "auto", "domain": "example.org"}])
def test_every_server_has_the_timer_which_starts_at_a_boot_and_with_the_configuration(changes: dict[str, Any]):
    config = configuration(make_settings(**changes), "/h.pyz")
    assert certificate.files().items() <= config.files.items()
    [(link, target)] = certificate.links().items()
    assert config.links[link] == target == f"../{systemd.CERTIFICATE_TIMER}"
    assert link.startswith(f"{Paths().units}/timers.target.wants/")
    assert configure.TIMERS[TIMER] == systemd.CERTIFICATE_TIMER


def test_the_host_program_brings_the_units_because_they_are_the_same_everywhere():
    assert {path: program_files()[path] for path in (SERVICE, TIMER)} == certificate.files()


def test_the_unit_does_nothing_on_a_server_that_was_never_asked_to_have_a_certificate():
    service = unit(SERVICE)
    assert service["Unit"]["ConditionPathExists"] == str(Paths().certificate_record)
    assert service["Service"]["ExecStart"] == f"{Paths().gantry_command} renew-certificate"
    assert service["Service"]["Type"] == "oneshot"


def test_the_timer_runs_again_after_each_run_also_after_one_that_failed():
    timer = unit(TIMER)["Timer"]
    assert timer["OnUnitInactiveSec"] == timer["OnActiveSec"] == "5min"
