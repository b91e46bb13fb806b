"""The limits for visitors and logs in the configurations of servers and of the local target's balancer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from components.server.configuration import configuration
from components.settings.reader import SettingsError
from host import times
from host.configure import Configuration, configure
from host.paths import Paths
from tests.stack_settings import balancer_files, make_settings, read

SITE, FIREWALL, UNLIMITED = str(Paths().site), str(Paths().firewall), str(Paths().unlimited_rules)
PROXIES = ("192.0.2.0/24", "2001:db8::/32")


def server_files(*balancer: str, **changes: Any) -> dict[str, str]:
    return configuration(make_settings(**changes), "/h.pyz", balancer).files


@pytest.mark.parametrize("files", [server_files, balancer_files])
def test_servers_and_the_local_balancer_have_the_same_limits(files: Any):
    both = files(connections_per_address=70, log_days=3, trusted_proxies=PROXIES)
    assert "add @visitors4 { ip saddr ct count over 70 } drop" in both[FIREWALL]
    assert "add @visitors6 { ip6 saddr & ffff:ffff:ffff:ffff:: ct count over 70 } drop" in both[FIREWALL]
    assert f"client_header_timeout {times.HEADER_SECONDS}s;" in both[SITE]
    assert f"include {Paths().nginx_limits};" in both[SITE]
    assert "rotate-logs 3\n" in both["/etc/systemd/system/gantry-logs.service"]
    assert "MaxRetentionSec=3day" in both[str(Paths().journal_settings)]
    assert "force-confold" in both[str(Paths().apt_settings)]
    for proxy, family in zip(PROXIES, ("ip", "ip6"), strict=True):
        assert f"{family} saddr {proxy} accept\n" in both[UNLIMITED]
        assert f"set_real_ip_from {proxy};" in both[SITE]


def test_ssh_has_no_limit_of_connections():
    [ports] = re.findall(r"tcp dport != \{(.*)\} accept", server_files()[FIREWALL])
    assert ports.split(",") == [" 80", " 443 "]


def test_the_balancer_of_a_server_has_no_limit():
    files = server_files("10.0.0.0/8")
    assert files[UNLIMITED] == "ip saddr 10.0.0.0/8 accept\n"
    assert f'include "{UNLIMITED}"' in files[FIREWALL]


def test_zero_connections_per_address_means_no_limit(tmp_path: Path):
    assert read(tmp_path, app=".", connectionsPerAddress="0").connections_per_address is None
    for files in (server_files, balancer_files):
        assert "ct count" not in files(connections_per_address=None)[FIREWALL]


def test_without_trusted_proxies_nobody_sets_the_visitors_address():
    for files in (server_files, balancer_files):
        assert "real_ip" not in files()[SITE]


def test_behind_a_balancer_the_address_before_the_trusted_proxies_is_the_visitors():
    site = server_files("10.0.0.0/8", trusted_proxies=PROXIES)[SITE]
    assert re.findall(r"set_real_ip_from (\S+);", site) == ["10.0.0.0/8", *PROXIES]
    assert "real_ip_recursive on;" in site
    assert "real_ip_recursive" not in server_files("10.0.0.0/8")[SITE]


def test_only_a_trusted_proxy_may_say_that_the_visitor_uses_https():
    site = server_files(trusted_proxies=PROXIES)[SITE]
    assert "proxy_set_header X-Forwarded-Proto $visitors_scheme;" in site
    assert re.search(r'map "\$from_proxy\$http_x_forwarded_proto" \$visitors_scheme \{\s+default \$scheme;', site)


@pytest.mark.parametrize("balancer", [(), ("10.0.0.0/8",)])
def test_a_trusted_proxy_that_names_this_server_as_the_visitor_passes_neither_maintenance_nor_limits(
    balancer: tuple[str, ...],
):
    texts = [
        server_files(*balancer, maintenance=True, requests_per_second=1, trusted_proxies=PROXIES)[SITE],
        balancer_files(trusted_proxies=PROXIES)[SITE],
    ]
    for text, exempt in zip(texts, (["$visitor", "$closed"], ["$visitor"]), strict=True):
        maps = re.findall(r"^map (\".*\"|\S+) (\S+) \{(?:[^}]*)127\.0\.0\.1(?:[^}]*)\}", text, re.MULTILINE)
        assert maps == [('"$realip_remote_addr $remote_addr"', name) for name in exempt]


@pytest.mark.parametrize(
    ("variable", "most_bytes"),
    [("request", 1000), ("http_referer", 500), ("http_user_agent", 500), ("remote_user", 100)],
)
def test_a_value_that_a_visitor_chooses_has_few_bytes_in_the_access_log(variable: str, most_bytes: int):
    [pattern] = re.findall(rf'map \${variable} \$\w+_start \{{\s+default "-";\s+"~(.*)" \$\w+;', server_files()[SITE])

    def logged(value: bytes) -> bytes:
        match = re.match(pattern.replace("(?<", "(?P<").encode(), value)
        assert match
        # As Nginx escapes it: https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format
        return re.sub(rb'[^ -~]|["\\]', lambda byte: b"\\x%02X" % ord(byte[0]), match[1])

    plain, escaped = b"GET /page?a=b HTTP/1.1", 'GET /"é\\ü" HTTP/1.1'.encode()
    assert (logged(plain), logged(b"a")) == (plain, b"a")
    assert logged(escaped).startswith(rb"GET /\x22\xC3\xA9\x5C\xC3")
    assert len(logged(b"a" * 16_000)) == most_bytes
    for byte in (b'"', b"\\", b"\xff", b"\x7f", b"\t", b'aaa"', b'"aaaa'):
        assert most_bytes / 3 < len(logged(byte * 16_000)) <= most_bytes


def test_requests_are_limited_only_with_the_setting():
    site = server_files(requests_per_second=20)[SITE]
    assert "rate=20r/s;" in site
    assert "limit_req zone=visitors_requests burst=200 nodelay;" in site
    assert "limit_req" not in server_files()[SITE]


@pytest.mark.parametrize(
    ("network", "rule"),
    [
        ("0.0.0.0/0", "at least /8"),
        ("::/0", "at least /16"),
        ("192.0.2.1/24", "without bits behind its prefix"),
        ("cdn.example.org", "must be a network"),
    ],
)
def test_a_network_of_proxies_that_is_wrong_is_named_with_the_rule_and_the_command(
    tmp_path: Path, network: str, rule: str
):
    with pytest.raises(SettingsError) as error:
        read(tmp_path, trustedProxies=["192.0.2.0/24", network])
    text = str(error.value)
    assert f"trustedProxies[1] is {network!r}, but " in text and rule in text
    assert "pulumi config set --path 'trustedProxies[1]' <network>" in text


def test_a_list_of_proxies_that_is_no_list_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="trustedProxies must be a list"):
        read(tmp_path, trustedProxies="192.0.2.0/24")


def test_a_change_of_log_days_restarts_the_journal_but_not_the_timer(tmp_path: Path):
    commands = list[str]()

    def apply(days: int) -> list[str]:
        commands.clear()
        files = {
            path: content
            for path, content in server_files(log_days=days).items()
            if "gantry-logs" in path or "journald" in path
        }
        configure(Paths(tmp_path), Configuration(files, {}), lambda command: commands.append(" ".join(command)))
        return commands

    journal = ["systemctl daemon-reload", "systemctl restart systemd-journald"]
    assert apply(14) == [*journal, "systemctl restart gantry-logs.timer"]
    assert apply(7) == journal
