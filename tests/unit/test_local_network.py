from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from components.local import bridge, firewall, forwarding, resolver, store
from components.local.computer import LocalError

NETWORK = bridge.Network(id="gantry-a1b2c3", owner="test", cidr="10.77.5.0/29")


def nets(*ranges: str) -> list[IPv4Network]:
    return [IPv4Network(range_) for range_ in ranges]


def test_the_first_free_range_is_chosen():
    assert bridge.choose_cidr(None, []) == "10.77.0.0/24"
    assert bridge.choose_cidr(None, nets("10.77.0.0/24", "10.77.1.128/25")) == "10.77.2.0/24"


def test_a_range_outside_10_is_chosen_if_a_vpn_uses_all_of_10():
    assert bridge.choose_cidr(None, nets("10.0.0.0/8")) == "172.29.0.0/24"


def test_the_error_about_no_free_range_names_the_setting():
    with pytest.raises(LocalError, match=r"pulumi config set network"):
        bridge.choose_cidr(None, nets("0.0.0.0/1", "128.0.0.0/1"))


def test_a_configured_range_is_used_if_it_is_free():
    assert bridge.choose_cidr("10.200.7.0/24", nets("10.200.6.0/24")) == "10.200.7.0/24"


def test_the_error_about_a_configured_range_in_use_names_both_ranges_and_the_fix():
    with pytest.raises(LocalError, match=r"10\.200\.7\.0/24 overlaps 10\.200\.0\.0/16.*pulumi config rm network"):
        bridge.choose_cidr("10.200.7.0/24", nets("10.200.0.0/16"))


@pytest.mark.parametrize("wrong", ["10.77.5.1/24", "10.77.5/24", "8.8.8.0/24", "10.0.0.0/8", "10.77.5.0/30", "x"])
def test_the_error_about_an_unusable_range_names_it(wrong: str):
    with pytest.raises(LocalError, match=wrong):
        bridge.choose_cidr(wrong, [])


def test_every_route_of_the_computer_is_a_used_range_except_the_default_route():
    routes = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"type": "local", "dst": "127.0.0.1", "dev": "lo"},
    ]
    assert list(bridge.ranges_of(routes)) == ["192.0.2.0/24", "127.0.0.1/32"]


def test_a_machine_gets_the_first_free_address_after_the_gateway():
    assert NETWORK.gateway == "10.77.5.1"
    assert bridge.free_address(NETWORK, []) == "10.77.5.2"
    assert bridge.free_address(NETWORK, ["10.77.5.2", "10.77.5.4"]) == "10.77.5.3"


def test_a_full_network_is_an_error():
    with pytest.raises(LocalError, match=r"no free address"):
        bridge.free_address(NETWORK, [f"10.77.5.{last}" for last in range(2, 7)])


def test_an_id_that_is_not_a_networks_never_becomes_a_path():
    with pytest.raises(ValueError, match=r"not the id of a local network"):
        bridge.find("../../etc/passwd")


def test_ids_fit_into_the_kernels_fifteen_characters():
    assert len(bridge.new_id()) <= 15


def test_a_new_table_replaces_the_old_one_in_one_transaction():
    script = firewall.table_script("gantry-a1b2c3", "10.77.5.0/24")
    assert script.startswith("table ip gantry-a1b2c3\ndelete table ip gantry-a1b2c3\ntable ip gantry-a1b2c3 {")
    assert 'ip saddr 10.77.5.0/24 oifname != "gantry-a1b2c3" masquerade' in script


def test_only_forward_chains_that_drop_need_a_rule():
    def chain(table: str, **values: str) -> dict[str, dict[str, str]]:
        return {"chain": {"family": "ip", "table": table, "name": "FORWARD", **values}}

    ruleset = {
        "nftables": [
            {"metainfo": {"version": "1.0.6"}},
            chain("filter", hook="forward", policy="drop"),
            chain("open", hook="forward", policy="accept"),
            chain("closed-in", hook="input", policy="drop"),
            chain("jumped-to"),
            chain("v6", hook="forward", policy="drop") | {},
        ]
    }
    ruleset["nftables"][-1]["chain"]["family"] = "ip6"
    assert firewall.dropping_chains(ruleset) == [firewall.Chain(family="ip", table="filter", name="FORWARD")]


def test_rules_in_other_programs_chains_have_the_networks_name_as_comment():
    chain = firewall.Chain(family="inet", table="fw", name="forward")
    insert = ["nft", "insert", "rule", "inet", "fw", "forward"]
    assert firewall.accept_rules(chain, "gantry-a1b2c3") == [
        [*insert, "iifname", "gantry-a1b2c3", "accept", "comment", '"gantry-a1b2c3"'],
        [*insert, "oifname", "gantry-a1b2c3", "accept", "comment", '"gantry-a1b2c3"'],
    ]


def test_only_rules_with_the_networks_name_are_deleted():
    ruleset = """\
table inet fw { # handle 3
	chain forward { # handle 1
		type filter hook forward priority filter; policy drop;
		iifname "gantry-a1b2c3" accept comment "gantry-a1b2c3" # handle 5
		iifname "gantry-ffffff" accept comment "gantry-ffffff" # handle 6
		iifname "eth0" accept comment "not gantry-a1b2c3" # handle 7
	}
}
"""
    expected = [["nft", "delete", "rule", "inet", "fw", "forward", "handle", "5"]]
    assert firewall.delete_commands(ruleset, "gantry-a1b2c3") == expected


def test_iptables_rules_are_deleted_with_the_words_of_their_insertion():
    inserts = firewall.iptables_rules("iptables-nft", "-I", "gantry-a1b2c3")
    deletes = firewall.iptables_rules("iptables-nft", "-D", "gantry-a1b2c3")
    assert [[word if word != "-I" else "-D" for word in command] for command in inserts] == deletes
    assert inserts[0][:6] == ["iptables-nft", "-w", "-I", "FORWARD", "-i", "gantry-a1b2c3"]


def test_a_machine_uses_the_real_name_server_behind_a_stub_resolver(tmp_path: Path):
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\nsearch lan\n")
    real.write_text("# real\nnameserver 192.0.2.53\nnameserver fd00::1\nsearch lan\n")
    assert resolver.resolv_conf((stub, real)) == "nameserver 192.0.2.53\nsearch lan\n"


def test_the_error_about_no_name_server_names_the_file_that_fixes_it(tmp_path: Path):
    with pytest.raises(LocalError, match=r"/etc/gantry/resolv.conf"):
        resolver.resolv_conf((tmp_path / "missing",))


@pytest.mark.parametrize("before", ["0", "1"])
def test_forwarding_is_restored_to_its_value_from_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str):
    setting = tmp_path / "ip_forward"
    setting.write_text(f"{before}\n")
    monkeypatch.setattr(forwarding, "_SETTING", setting)
    monkeypatch.setattr(forwarding, "_RECORD", tmp_path / "before.json")
    for _ in range(2):
        forwarding.enable()
        assert setting.read_text().strip() == "1"
    forwarding.restore()
    assert setting.read_text().strip() == before
    assert not (tmp_path / "before.json").exists()


def test_a_value_of_forwarding_from_before_a_reboot_is_not_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    setting = tmp_path / "ip_forward"
    setting.write_text("1\n")
    monkeypatch.setattr(forwarding, "_SETTING", setting)
    monkeypatch.setattr(forwarding, "_RECORD", tmp_path / "before.json")
    store.write_json(tmp_path / "before.json", {"boot": "an earlier one", "value": "0"})
    forwarding.enable()
    forwarding.restore()
    assert setting.read_text().strip() == "1"
