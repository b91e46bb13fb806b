"""Apps of several frameworks are released twice while clients send requests, and no request fails."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.app_cases import UNDER_LOAD, Case, cases_of
from tests.machine.case_server import CaseServer
from tests.machine.clients import running_clients
from tests.machine.polling_client import polling_client

pytestmark = pytest.mark.machine
SERVER_CLASS = CaseServer
APPS: Mapping[str, Case] = {case.id.partition("/")[2]: case for case in cases_of(UNDER_LOAD)}
VERSIONS = ("version 1", "version 2", "version 3")


def release(server: CaseServer, name: str, version: str, folder: Path) -> None:
    """Release an app with this text in its file ``version``."""
    case = APPS[name]
    folder /= version
    folder.mkdir()
    result = server.release(replace(case, files={**case.files, "version": version}), folder)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", [name for name, case in APPS.items() if case.released and name != "socketio"])
def test_an_app_is_released_twice_under_load_without_a_failed_request(server: CaseServer, name: str, tmp_path: Path):
    release(server, name, VERSIONS[0], tmp_path)
    with running_clients(server.spec.address, (APPS[name].get,) * 4) as clients:
        time.sleep(1)
        for version in VERSIONS[1:]:
            release(server, name, version, tmp_path)
            time.sleep(1)
    assert not clients.failures
    served = {version for version in VERSIONS for page in clients.pages if version in page}
    assert served == set(VERSIONS), clients.pages


def test_clients_of_socket_io_are_back_within_two_seconds(server: CaseServer, tmp_path: Path):
    release(server, "socketio", VERSIONS[0], tmp_path)
    with polling_client(server.spec.address) as client, running_clients(server.spec.address, ("/",)) as clients:
        time.sleep(1)
        for version in VERSIONS[1:]:
            release(server, "socketio", version, tmp_path)
            time.sleep(2)
    assert not clients.failures
    assert {version for _, version in client.answers} == set(VERSIONS)
    assert client.sessions == len(VERSIONS)
    assert client.longest_pause() < 2
