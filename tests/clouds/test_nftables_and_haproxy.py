"""A topology becomes nftables rules and a configuration of HAProxy."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.clouds.haproxy import SLOTS, BalancerProcess, configuration
from tests.clouds.infrastructure import Balancer, HealthCheck, Listener, Rule, Server, Target, Topology
from tests.clouds.nftables import table_script
from tests.stack import get

SERVER = Server(
    id="i-1",
    private_address="10.0.0.5",
    public_addresses=("198.18.0.9",),
    inbound=(Rule(low_port=22, high_port=22, peers=("198.51.100.7/32",)),),
    outbound=(Rule(protocol="all"),),
)
BALANCER = Balancer(
    id="balancer",
    network="vpc",
    public_address="198.18.0.2",
    node_addresses=("10.0.0.250", "10.0.1.250"),
    listeners=(Listener(port=80),),
    targets=(Target(id="i-1", address="10.0.0.5", port=80, zone="a"),),
    health_check=HealthCheck(
        path="/healthz", port=80, interval=5, timeout=3, healthy_threshold=2, unhealthy_threshold=4
    ),
    idle_seconds=65,
)


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a request isn't an event here."""


@pytest.fixture
def page_port() -> Iterator[int]:
    """The port of a server on 127.0.0.2. On 127.0.0.9, nothing accepts a connection."""
    with ThreadingHTTPServer(("127.0.0.2", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def chain(script: str, name: str) -> list[str]:
    body = re.search(rf"chain {name} {{\n(.*?)\n }}", script, re.DOTALL)
    assert body
    return [line.strip() for line in body[1].splitlines()]


def test_the_firewall_admits_what_a_rule_names_and_drops_the_rest():
    script = table_script(Topology(servers=(SERVER,)), {})
    assert chain(script, "in_i_1") == ["ip saddr 198.51.100.7/32 tcp dport 22-22 return", "drop"]
    assert chain(script, "out_i_1") == ["ip daddr 0.0.0.0/0  return", "drop"]
    assert "ip daddr 198.18.0.9 dnat to 10.0.0.5" in script


def test_a_server_without_a_firewall_drops_nothing():
    script = table_script(Topology(servers=(replace(SERVER, inbound=None),)), {})
    assert "drop" not in chain(script, "in_i_1")


def test_the_balancer_cannot_reach_a_server_in_an_unhealthy_zone_whatever_the_rules_admit():
    script = table_script(Topology(servers=(SERVER,)), {"i-1": BALANCER.node_addresses})
    assert chain(script, "in_i_1")[:2] == ["ip saddr 10.0.0.250 drop", "ip saddr 10.0.1.250 drop"]


def test_haproxy_gets_the_health_check_and_the_timeouts_of_the_balancer():
    text = configuration(BALANCER, Path("/run/x"), {})
    assert "check port 80 inter 5s rise 2 fall 4 source 10.0.0.250" in text
    assert "http-check send meth GET uri /healthz" in text
    assert {"timeout check 3s", "timeout client 65s", "retries 0"} <= {line.strip() for line in text.splitlines()}
    assert len(re.findall("^  server ", text, re.MULTILINE)) == SLOTS


def test_a_listener_that_redirects_forwards_no_request():
    listeners = (Listener(port=80, redirect_port=443), Listener(port=443, protocol="https", certificate="PEM"))
    text = configuration(replace(BALANCER, listeners=listeners), Path("/run/x"), {})
    plain, _, secure = text.partition("frontend port443")
    assert "redirect scheme https" in plain
    assert "default_backend" not in plain
    assert "ssl crt /run/x/443.pem" in secure


def test_a_new_target_gets_no_request_before_a_health_check_succeeded(
    page_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    health_check = HealthCheck(
        path="/", port=page_port, interval=1, timeout=1, healthy_threshold=1, unhealthy_threshold=1
    )
    serving = Target(id="serving", address="127.0.0.2", port=page_port)
    balancer = replace(
        BALANCER,
        public_address="127.0.0.3",
        node_addresses=("127.0.0.1",),
        listeners=(Listener(port=page_port),),
        targets=(serving,),
        health_check=health_check,
    )
    process = BalancerProcess(balancer, tmp_path)
    try:
        while not all(process.target_health().values()):
            time.sleep(0.1)
        statuses: list[int] = []
        send = BalancerProcess._send

        def send_and_request(self: BalancerProcess, command: str) -> str:
            answer = send(self, command)
            statuses.extend(get(f"http://127.0.0.3:{page_port}/").status for _ in range(4))
            return answer

        monkeypatch.setattr(BalancerProcess, "_send", send_and_request)
        process.apply(replace(balancer, targets=(serving, replace(serving, id="new", address="127.0.0.9"))))
    finally:
        process.stop()
    assert len(statuses) > 8
    assert set(statuses) == {200}
