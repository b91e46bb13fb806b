"""What a view becomes in rules of nftables and in HAProxy's configuration."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from tests.clouds.haproxy import PLACES, config
from tests.clouds.infrastructure import Balancer, Health, Instance, Listener, Rule, Target, View
from tests.clouds.nftables import script

SERVER = Instance(
    id="i-1", private="10.0.0.5", publics=("198.18.0.9",), inbound=(Rule(low=22, high=22, peers=("198.51.100.7/32",)),),
    outbound=(Rule(protocol="all"),),
)  # fmt: skip
BALANCER = Balancer(
    id="front", network="vpc", public="198.18.0.2", nodes=("10.0.0.250", "10.0.1.250"), listeners=(Listener(port=80),),
    targets=(Target(id="i-1", address="10.0.0.5", port=80, zone="a"),),
    health=Health(path="/healthz", port=80, interval=5, timeout=3, healthy=2, unhealthy=4), idle_seconds=65,
)  # fmt: skip


def chain(text: str, name: str) -> list[str]:
    found = re.search(rf"chain {name} {{\n(.*?)\n }}", text, re.DOTALL)
    assert found
    return [line.strip() for line in found[1].splitlines()]


def test_what_a_rule_names_passes_and_the_rest_is_dropped():
    text = script(View(instances=(SERVER,)), {})
    assert chain(text, "in_i_1") == ["ip saddr 198.51.100.7/32 tcp dport 22-22 return", "drop"]
    assert chain(text, "out_i_1") == ["ip daddr 0.0.0.0/0  return", "drop"]
    assert "ip daddr 198.18.0.9 dnat to 10.0.0.5" in text


def test_without_a_firewall_nothing_is_dropped():
    text = script(View(instances=(replace(SERVER, inbound=None),)), {})
    assert "drop" not in chain(text, "in_i_1")


def test_a_server_of_an_unhealthy_zone_is_cut_off_from_the_balancer_before_any_rule():
    text = script(View(instances=(SERVER,)), {"i-1": BALANCER.nodes})
    assert chain(text, "in_i_1")[:2] == ["ip saddr 10.0.0.250 drop", "ip saddr 10.0.1.250 drop"]


def test_a_balancer_checks_and_waits_as_it_was_told():
    text = config(BALANCER, Path("/run/x"), {})
    assert "check port 80 inter 5s rise 2 fall 4 source 10.0.0.250" in text
    assert "http-check send meth GET uri /healthz" in text
    assert {"timeout check 3s", "timeout client 65s", "retries 0"} <= {line.strip() for line in text.splitlines()}
    assert len(re.findall("^  server ", text, re.MULTILINE)) == PLACES


def test_a_listener_that_redirects_passes_nothing_on():
    both = (Listener(port=80, redirect_port=443), Listener(port=443, protocol="https", certificate="PEM"))
    text = config(replace(BALANCER, listeners=both), Path("/run/x"), {})
    plain, _, secure = text.partition("frontend port443")
    assert "redirect scheme https" in plain
    assert "default_backend" not in plain
    assert "ssl crt /run/x/443.pem" in secure
