from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks

from components import fleet, manifest, proxy
from components.revision import Wanted
from components.rollout import batches
from components.settings import MOST_SERVERS, Settings
from host import local_balancer
from tests.settings import settings

HOSTS: list[Any] = list("abcdefghij")


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [
        (1, None, ["a"]),
        (2, None, ["a", "b"]),
        (3, None, ["a", "b", "c"]),
        (4, None, ["a", "bc", "d"]),
        (6, None, ["a", "bc", "de", "f"]),
        (10, None, ["a", "bcde", "fghi", "j"]),
        (10, 1, ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]),
        (10, 20, ["a", "bcdefghij"]),
    ],
)
def test_the_first_is_alone_and_the_rest_follow_in_batches(count: int, size: int | None, expected: list[str]):
    assert batches(HOSTS[:count], size) == [list(batch) for batch in expected]


@pytest.mark.parametrize(("size", "expected"), [(None, ["abcd"]), (1, ["a", "b", "c", "d"]), (3, ["abc", "d"])])
def test_without_a_canary_batches_count_from_the_first_and_all_is_the_usual_one(size: int | None, expected: list[str]):
    assert batches(HOSTS[:4], size, canary=False) == [list(batch) for batch in expected]


class Recorder(Mocks):
    """Writes every registration down, with what it waits for."""

    def __init__(self) -> None:
        self.inputs: dict[str, dict[str, Any]] = {}
        self.order: list[str] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.custom:
            self.inputs[args.name] = args.inputs
            self.order.append(args.name)
        outputs = {**args.inputs, "address": f"10.0.0.{len(self.order)}", "range": "10.0.0.0/24"}
        outputs |= {"private_key": "key", "public_key": f"ssh-ed25519 {args.name}", "stdout": "ssh-ed25519 OWN\n"}
        return f"{args.name}-id", outputs

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"nothing is looked up, but {args.token} was")


def built(folder: Path, wanted: Settings) -> Recorder:
    recorder = Recorder()
    pulumi.runtime.set_mocks(recorder, project="gantry", stack="dev", preview=False)
    (folder / "app.tar").write_text("app")

    @pulumi.runtime.test
    def build() -> pulumi.Output[Any]:
        made = fleet.build("dev", wanted, Wanted("3f2a91c0ffee", folder / "app.tar"), folder)
        return pulumi.Output.all(made.url, made.release)

    build()
    return recorder


def test_three_servers_are_prepared_then_switched_one_by_one_then_confirmed_and_only_then_spread_over(tmp_path: Path):
    order = built(tmp_path, settings(servers=3, balancer=True)).order

    def last(suffix: str) -> int:
        return max(order.index(name) for name in order if name.endswith(suffix))

    steps = ["dev-0-release", "dev-1-release", "dev-2-release"]
    assert [name for name in order if name in steps] == steps
    assert last("-prepare") < order.index("dev-0-release")
    assert last("-release") < min(order.index(f"dev-{number}-confirm") for number in range(3))
    assert last("-confirm") < order.index("dev-balancer-configure")


def test_a_release_is_in_probation_for_longer_than_the_rollout_and_the_confirmation_is_the_same_without(tmp_path: Path):
    inputs = built(tmp_path, settings(servers=3, balancer=True, watch=10, health_timeout=30)).inputs
    for number in range(3):
        confirm = inputs[f"dev-{number}-confirm"]["create"]
        assert "--probation" not in confirm
        assert inputs[f"dev-{number}-release"]["create"] == f"{confirm} --probation {3 * (240 + 10 + 2 * 30 + 60)}"


def test_every_server_is_told_the_balancers_address(tmp_path: Path):
    inputs = built(tmp_path, settings(servers=3, balancer=True)).inputs
    for number in range(3):
        found = re.findall(r"set_real_ip_from (\S+);", inputs[f"dev-{number}-configure"]["stdin"])
        assert found and found[0].startswith("10.0.0.")


def test_a_single_server_has_neither_probation_nor_balancer(tmp_path: Path):
    inputs = built(tmp_path, settings()).inputs
    assert "--probation" not in inputs["dev-0-release"]["create"]
    assert not [name for name in inputs if "balancer" in name or name.endswith(("-prepare", "-confirm"))]


def test_more_servers_change_nothing_on_those_that_are_there_but_the_way_of_their_release(tmp_path: Path):
    one = built(tmp_path, settings(balancer=True)).inputs
    three = built(tmp_path, settings(servers=3, balancer=True)).inputs
    assert one["dev-0-configure"]["create"] == three["dev-0-configure"]["create"]
    assert one["dev-balancer-host-program"]["remotePath"] == three["dev-balancer-host-program"]["remotePath"]


def test_behind_a_balancer_only_its_address_may_ask_for_pages_and_name_the_visitor():
    files = manifest.configuration(settings(), "/h.pyz", ["10.0.0.9"]).files
    site, admitted = files["/etc/nginx/sites-available/gantry"], files["/etc/gantry/firewall/admitted.nft"]
    assert re.findall(r"set_real_ip_from (\S+);", site) == ["10.0.0.9"]
    assert admitted == 'ip saddr 10.0.0.9 tcp dport 80 ct state new accept comment "the balancer"\n'
    assert "/etc/gantry/firewall/closed.nft" not in files, "closing is a step of its own"
    alone = manifest.configuration(settings(), "/h.pyz").files
    assert "real_ip" not in alone["/etc/nginx/sites-available/gantry"]
    assert [alone[f"/etc/gantry/firewall/{name}.nft"] for name in ("admitted", "closed")] == ["", ""]


def test_a_server_is_closed_to_others_after_the_addresses_of_the_balancer_and_before_everyones(tmp_path: Path):
    rules = [line.strip() for line in manifest.text("first-boot/firewall.nft").splitlines()]
    included = rules.index('include "/etc/gantry/firewall/*.nft"')
    assert rules[included + 1] == "tcp dport { 80, 443 } ct state new accept"
    built_order = built(tmp_path, settings(servers=2, balancer=True)).order
    assert built_order.index("dev-balancer-configure") < min(built_order.index(f"dev-{each}-closed") for each in (0, 1))


def test_a_server_that_leaves_turns_only_the_balancers_checks_away_and_one_alone_none():
    site = manifest.configuration(settings(), "/h.pyz", ["10.77.0.0/16"]).files["/etc/nginx/sites-available/gantry"]
    assert re.search(r"geo \$realip_remote_addr \$from_balancer \{\s+default 0;\s+10\.77\.0\.0/16 1;\s+\}", site)
    assert re.search(
        r"map \"\$from_balancer\$http_x_forwarded_for\" \$balancers_check \{\s+default 0;\s+1 1;\s+\}", site
    )
    decided = re.search(r"map \$balancers_check \$leaving \{\s+default \"\";\s+1 (\S+);\s+\}", site)
    assert decided and decided[1] == manifest.LEAVING_FILE
    assert re.search(r"if \(-f \$leaving\) \{\s+return 503;\s+\}", site)
    alone = manifest.configuration(settings(), "/h.pyz").files["/etc/nginx/sites-available/gantry"]
    assert "leaving" not in alone


def test_a_balancer_with_many_addresses_is_a_range_for_the_firewall_and_for_nginx():
    files = manifest.configuration(settings(), "/h.pyz", ["10.77.0.0/16"]).files
    assert "ip saddr 10.77.0.0/16 tcp dport 80 ct state new accept" in files["/etc/gantry/firewall/admitted.nft"]
    assert "set_real_ip_from 10.77.0.0/16;" in files["/etc/nginx/sites-available/gantry"]


def test_a_balancer_makes_itself_from_user_data_that_knows_no_server():
    text = proxy.user_data("dev-balancer", "ssh-ed25519 AAAA", "private", "ssh-ed25519 BBBB")
    document = yaml.safe_load(text)
    paths = [file["path"] for file in document["write_files"]]
    assert "/usr/local/lib/gantry/install" in paths
    assert not [path for path in paths if "gunicorn" in path or "uv.txt" in path]
    assert "rocket" not in text


def test_another_list_of_servers_leaves_nginx_as_it_is():
    one, three = (proxy.configuration("/h.pyz", ["10.0.0.2", "10.0.0.3", "10.0.0.4"][:count]).files for count in (1, 3))
    assert one["/etc/nginx/sites-available/gantry"] == three["/etc/nginx/sites-available/gantry"]
    leads = re.findall(r"ip daddr (\S+) dnat to (\S+)", three["/etc/nftables.conf"])
    assert [place for place, _ in leads] == proxy.places(3)
    assert [sum(server == each for _, server in leads) for each in ("10.0.0.2", "10.0.0.3", "10.0.0.4")] == [4, 4, 4]


@pytest.mark.parametrize("servers", [13, 20, 21, 50, MOST_SERVERS])
def test_of_many_servers_none_has_over_half_more_places_than_another(servers: int):
    addresses = [f"10.0.0.{number}" for number in range(servers)]
    table = proxy.configuration("/h.pyz", addresses).files["/etc/nftables.conf"]
    found = Counter(re.findall(r"dnat to (\S+)", table))
    assert set(found) == set(addresses)
    assert max(found.values()) <= 1.5 * min(found.values())


def test_the_places_are_those_that_the_host_program_waits_for():
    table = "header\n" + "\n".join(
        f"   {number}: 0200000A:{port} {remote}:0050 {state} 00000000:00000000"
        for number, (port, remote, state) in enumerate(
            [("A001", "010200C0", "01"), ("A002", "0C0200C0", "06"), ("A003", "0200000A", "01")]
        )
    )
    assert all(place.startswith("192.0.2.") for place in proxy.places(MOST_SERVERS))
    assert local_balancer.connections(table) == {"0200000A:A001"}


def test_draining_waits_for_the_connections_of_before_and_not_for_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    table = tmp_path / "tcp"
    row = "header\n   0: 0200000A:{} 010200C0:0050 01\n"
    table.write_text(row.format("A001"))
    monkeypatch.setattr("time.sleep", lambda seconds: table.write_text(row.format("A002")))
    local_balancer.drain(limit=1, table=table)
    assert "A002" in table.read_text()
    assert "cut off" not in capsys.readouterr().out


@pytest.mark.parametrize(("path", "open_line"), [("/healthz", '"~^/healthz$" 0;'), ("/a.b?c=d", r'"~^/a\.b$" 0;')])
def test_in_maintenance_the_health_path_and_the_servers_own_checks_are_let_through(path: str, open_line: str):
    site = manifest.configuration(settings(maintenance=True, health_path=path), "/h.pyz").files[
        "/etc/nginx/sites-available/gantry"
    ]
    maps = dict(re.findall(r"map \$(\w+) \$closed\w* \{(.*?)\}", site, re.DOTALL))
    assert open_line in maps["uri"]
    assert maps["remote_addr"].split() == ["default", "$closed_to_visitors;", "127.0.0.1", "0;", "::1", "0;"]
    assert "add_header Retry-After 300 always;" in site


def test_in_maintenance_a_balancers_own_checks_are_let_through_and_nobody_else_without_a_header():
    site = manifest.configuration(settings(maintenance=True), "/h.pyz", ["10.0.0.9"]).files[
        "/etc/nginx/sites-available/gantry"
    ]
    maps = dict(re.findall(r"map \$(\w+) \$closed\w* \{(.*?)\}", site, re.DOTALL))
    assert maps["balancers_check"].split() == ["default", "$closed_to_visitors;", "1", "0;"]
    assert maps["remote_addr"].split()[:2] == ["default", "$closed_to_others;"]


def test_maintenance_is_no_release_and_leaves_no_trace_when_it_is_off():
    on, off = (manifest.configuration(settings(maintenance=each), "/h.pyz") for each in (True, False))
    assert on.digest() == off.digest()
    assert "maintenance" not in off.files["/etc/nginx/sites-available/gantry"]
    assert [path for path in on.files if on.files[path] != off.files[path]] == ["/etc/nginx/sites-available/gantry"]
