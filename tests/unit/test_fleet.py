from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from components.server.templates import text
from tests.mocks import Recorder, build_stack


def build_local(folder: Path, **changes: Any) -> Recorder:
    """Build a stack of the local target, which looks nothing up."""
    recorder = build_stack(folder, stack="dev", **changes)
    assert recorder.lookups == []
    return recorder


def test_three_servers_are_prepared_switched_one_by_one_confirmed_and_only_then_added_to_the_balancer(tmp_path: Path):
    order = build_local(tmp_path, servers=3, balancer=True).custom_names()

    def last(suffix: str) -> int:
        return max(order.index(name) for name in order if name.endswith(suffix))

    releases = ["dev-0-release", "dev-1-release", "dev-2-release"]
    assert [name for name in order if name in releases] == releases
    assert last("-prepare") < order.index("dev-0-release")
    assert last("-release") < min(order.index(f"dev-{number}-confirm") for number in range(3))
    assert last("-confirm") < order.index("dev-balancer-configure")


def test_probation_lasts_longer_than_the_rollout_and_the_confirmation_is_the_same_command_without_it(tmp_path: Path):
    recorder = build_local(tmp_path, servers=3, balancer=True, watch=10, health_timeout=30)
    for number in range(3):
        confirm = recorder.custom(f"dev-{number}-confirm").inputs["create"]
        assert "--probation" not in confirm
        release = recorder.custom(f"dev-{number}-release").inputs["create"]
        assert release == f"{confirm} --probation {3 * (150 + 90 + 10 + 2 * 30 + 60)}"


def test_every_server_knows_the_balancers_address(tmp_path: Path):
    recorder = build_local(tmp_path, servers=3, balancer=True)
    for number in range(3):
        configuration = recorder.custom(f"dev-{number}-configure").inputs["stdin"]
        addresses = re.findall(r"set_real_ip_from (\S+);", configuration)
        assert addresses and addresses[0].startswith("10.0.0.")


def test_a_single_server_has_neither_probation_nor_balancer(tmp_path: Path):
    recorder = build_local(tmp_path)
    assert "--probation" not in recorder.custom("dev-0-release").inputs["create"]
    assert not [
        name for name in recorder.custom_names() if "balancer" in name or name.endswith(("-prepare", "-confirm"))
    ]


def test_more_servers_dont_change_the_configuration_of_existing_ones(tmp_path: Path):
    one = build_local(tmp_path, balancer=True)
    three = build_local(tmp_path, servers=3, balancer=True)
    for name, key in (("dev-0-configure", "create"), ("dev-balancer-host-program", "remotePath")):
        assert one.custom(name).inputs[key] == three.custom(name).inputs[key]


def test_a_server_is_closed_to_others_after_the_balancer_is_configured(tmp_path: Path):
    order = build_local(tmp_path, servers=2, balancer=True).custom_names()
    closed = [order.index(f"dev-{number}-closed") for number in (0, 1)]
    assert order.index("dev-balancer-configure") < min(closed)


def test_the_firewall_applies_the_rules_about_the_balancer_before_it_admits_everybody():
    rules = [line.strip() for line in text("first-boot/firewall.nft").splitlines()]
    include = rules.index('include "/etc/gantry/firewall/*.nft"')
    assert rules[include + 1] == "tcp dport { 80, 443 } ct state new accept"
