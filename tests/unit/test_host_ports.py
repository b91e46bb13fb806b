"""The TCP ports of the app's processes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from host import ports
from host.errors import ReleaseError
from host.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def test_a_process_keeps_its_port_and_no_other_process_gets_it(paths: Paths, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ports, "APP_PORTS", range(20000, 20003))
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    folders = [paths.deployments / "a", paths.deployments / "b", paths.processes / "a-worker-1"]
    chosen = [ports.assign(paths, folder) for folder in folders]
    assert sorted(chosen) == [20000, 20001, 20002]
    assert [ports.assign(paths, folder) for folder in folders] == chosen
    assert (folders[0] / "port").read_text() == f"PORT={chosen[0]}\n"
    with pytest.raises(ReleaseError, match="all ports from 20000 to 20002 are in use"):
        ports.assign(paths, paths.deployments / "c")


def test_a_deployment_of_an_earlier_version_has_no_port(paths: Paths):
    (paths.deployments / "a").mkdir(parents=True)
    assert ports.assigned(paths.deployments / "a") is None


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_a_port_on_which_something_listens_is_not_free(address: str):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
    assert ports.is_free(port)


def test_the_ports_are_no_ephemeral_ones():
    # Linux's default of net.ipv4.ip_local_port_range begins there.
    assert max(*ports.APP_PORTS, ports.CANDIDATE_PORT) < 32768
