"""The local target's balancer: its first boot, its configuration, and the drain of its connections."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from components.local import balancer_server
from components.server.configuration import configuration
from components.server.user_data import Identity
from components.settings.common import MAX_SERVERS
from host import local_balancer
from tests.stack_settings import balancer_files, make_settings


def test_the_balancers_user_data_contains_nothing_of_the_servers_or_the_app():
    user_data = balancer_server.user_data(
        Identity(
            hostname="dev-balancer",
            public_key="ssh-ed25519 AAAA",
            host_private_key="private",
            host_public_key="ssh-ed25519 BBBB",
        )
    )
    document = yaml.safe_load(user_data)
    paths = [file["path"] for file in document["write_files"]]
    assert "/usr/local/lib/gantry/install" in paths
    assert not [path for path in paths if "gunicorn" in path or "uv.txt" in path]
    assert "rocket" not in user_data


def test_another_list_of_servers_changes_the_firewall_but_not_nginx():
    servers = ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    one, three = (balancer_files(servers[:count]) for count in (1, 3))
    assert one["/etc/nginx/sites-available/gantry"] == three["/etc/nginx/sites-available/gantry"]
    routes = re.findall(r"ip daddr (\S+) dnat to (\S+)", three["/etc/nftables.conf"])
    assert [placeholder for placeholder, _ in routes] == balancer_server.placeholder_addresses(3)
    assert Counter(server for _, server in routes) == dict.fromkeys(servers, 4)


def test_the_balancer_keeps_a_silent_websocket_longer_than_a_server_does():
    server = configuration(make_settings(socket_timeout=300), "/h.pyz").files
    sites = [files["/etc/nginx/sites-available/gantry"] for files in (server, balancer_files(socket_timeout=300))]
    limits = [max(map(int, re.findall(r"proxy_read_timeout (\d+)s;", site))) for site in sites]
    assert limits == [300, 305]


@pytest.mark.parametrize("count", [13, 20, 21, 50, MAX_SERVERS])
def test_no_server_has_more_than_one_and_a_half_times_the_placeholders_of_another(count: int):
    servers = [f"10.0.0.{number}" for number in range(count)]
    table = balancer_files(servers)["/etc/nftables.conf"]
    placeholders = Counter(re.findall(r"dnat to (\S+)", table))
    assert set(placeholders) == set(servers)
    assert max(placeholders.values()) <= 1.5 * min(placeholders.values())


def test_the_host_program_recognizes_connections_to_placeholders():
    table = "header\n" + "\n".join(
        f"   {number}: 0200000A:{port} {remote}:0050 {state} 00000000:00000000"
        for number, (port, remote, state) in enumerate(
            [("A001", "010200C0", "01"), ("A002", "0C0200C0", "06"), ("A003", "0200000A", "01")]
        )
    )
    assert all(address.startswith("192.0.2.") for address in balancer_server.placeholder_addresses(MAX_SERVERS))
    assert local_balancer.connections(table) == {"0200000A:A001"}


def test_a_drain_waits_for_older_connections_but_not_for_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    table = tmp_path / "tcp"
    row = "header\n   0: 0200000A:{} 010200C0:0050 01\n"
    table.write_text(row.format("A001"))
    monkeypatch.setattr("time.sleep", lambda seconds: table.write_text(row.format("A002")))
    local_balancer.drain(limit=1, table=table)
    assert "A002" in table.read_text()
    assert "cut off" not in capsys.readouterr().out
