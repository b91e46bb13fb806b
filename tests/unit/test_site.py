"""The Nginx site of a server, and the firewall rules about its balancer."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest

from components.server.configuration import configuration
from host.paths import Paths
from host.times import MOVED_SECONDS, WATCH_INTERVAL_SECONDS
from tests.stack_settings import balancer_files, make_settings

SITE = "/etc/nginx/sites-available/gantry"
RULES = "/etc/gantry/firewall"
# Those of the connection and of the visitor.
ADDRESSES = '"$realip_remote_addr $remote_addr"'


def files(*balancer: str, **changes: Any) -> dict[str, str]:
    """The files of a server; ``balancer`` has the addresses of its balancer."""
    return configuration(make_settings(**changes), "/h.pyz", balancer).files


def site(*balancer: str, **changes: Any) -> str:
    return files(*balancer, **changes)[SITE]


def closed_maps(text: str) -> dict[str, str]:
    """The bodies of the maps that decide who gets the maintenance page, by the variable that each one tests."""
    return dict(re.findall(r"^map (\"[^\"]*\"|[^\"\s]+) \$closed\w* \{(.*?)^\}", text, re.DOTALL | re.MULTILINE))


def test_www_is_redirected_permanently_to_the_bare_domain():
    text = site(domain="rocket.test")
    assert "server_name www.rocket.test;" in text
    assert "return 301 $scheme://rocket.test$port_of_host$request_uri;" in text


def test_without_a_domain_any_name_is_served_and_nothing_is_redirected():
    text = site()
    assert "server_name _;" in text
    assert "301" not in text
    assert "www" not in text


@pytest.mark.parametrize(
    "directive",
    [
        "proxy_set_header Host $host$port_of_host;",
        "proxy_set_header X-Real-IP $remote_addr;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "add_header Retry-After 5 always;",
        "server_tokens off;",
    ],
)
def test_the_site_has_the_directive(directive: str):
    assert directive in site(domain="rocket.test")


def test_nginx_closes_idle_connections_before_a_stopping_gunicorn_does():
    linger_seconds = importlib.import_module("gunicorn.workers.gthread").STOP_KEEPALIVE_LINGER
    keepalive = re.search(r"keepalive_timeout (\d+)ms;", site())
    assert keepalive and int(keepalive[1]) / 1000 < linger_seconds


def test_nginx_writes_its_log_before_each_look_of_the_watch():
    text = site()
    log_format = '\'$msec $request_time $remote_addr "$upstream_status" $status $start_of_method "$start_of_path"\''
    assert f"log_format gantry {log_format};" in text
    assert "access_log /var/log/nginx/access.log visitors " in text
    flush = re.search(r"access_log /var/log/nginx/gantry.log gantry buffer=16k flush=(\d+)ms;", text)
    assert flush and int(flush[1]) / 1000 < WATCH_INTERVAL_SECONDS


def test_nginx_uses_no_connection_to_the_old_deployment_for_longer_than_the_release_waits():
    # A connection below its maximum age may be idle once more, and then get a last request.
    limits = re.findall(r"keepalive_time(?:out)? (\d+)ms;", site())
    assert len(limits) == 2 and sum(map(int, limits)) / 1000 < MOVED_SECONDS


def test_only_the_balancer_may_send_http_requests_and_set_the_visitors_address():
    balanced, single = files("10.0.0.9"), files()
    assert re.findall(r"set_real_ip_from (\S+);", balanced[SITE]) == ["10.0.0.9"]
    rule = 'ip saddr 10.0.0.9 tcp dport 80 ct state new accept comment "the balancer"\n'
    assert balanced[f"{RULES}/admitted.nft"] == rule
    assert f"{RULES}/closed.nft" not in balanced, "closing is a step of its own"
    assert "real_ip" not in single[SITE]
    assert [single[f"{RULES}/{name}.nft"] for name in ("admitted", "closed")] == ["", ""]


def test_a_range_of_balancer_addresses_is_a_range_for_the_firewall_and_for_nginx():
    balanced = files("10.77.0.0/16")
    assert "ip saddr 10.77.0.0/16 tcp dport 80 ct state new accept" in balanced[f"{RULES}/admitted.nft"]
    assert "set_real_ip_from 10.77.0.0/16;" in balanced[SITE]


def test_during_a_drain_only_the_balancers_health_checks_fail():
    text = site("10.77.0.0/16")
    assert re.search(r"geo \$realip_remote_addr \$from_balancer \{\s+default 0;\s+10\.77\.0\.0/16 1;\s+\}", text)
    assert re.search(
        r"map \"\$from_balancer\$http_x_forwarded_for\" \$balancers_check \{\s+default 0;\s+1 1;\s+\}", text
    )
    drain_file = re.search(r"map \$balancers_check \$leaving \{\s+default \"\";\s+1 (\S+);\s+\}", text)
    assert drain_file and drain_file[1] == str(Paths().draining)
    assert re.search(r"if \(-f \$leaving\) \{\s+return 503;\s+\}", text)


def test_a_single_server_fails_no_health_checks_during_a_drain():
    assert "leaving" not in site()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/healthz", r'"~^(GET|HEAD) /healthz\z" 0;'),
        ("/a.b?c=d", r'"~^(GET|HEAD) /a\.b\?c=d\z" 0;'),
        ('/"\\', r'"~^(GET|HEAD) /\x22\x5c\z" 0;'),
    ],
)
def test_maintenance_lets_exactly_the_raw_health_path_and_the_servers_own_checks_through(path: str, line: str):
    text = site(maintenance=True, health_path=path)
    maps = closed_maps(text)
    assert line in maps['"$request_method $request_uri"']
    lines = [line.strip() for line in maps[ADDRESSES].strip().splitlines()]
    assert lines == ["default $closed_to_visitors;", '"127.0.0.1 127.0.0.1" 0;', '"::1 ::1" 0;']
    assert "add_header Retry-After 300 always;" in text


def test_maintenance_lets_the_balancers_health_checks_through_but_no_visitors():
    maps = closed_maps(site("10.0.0.9", maintenance=True))
    assert maps["$balancers_check"].split() == ["default", "$closed_to_visitors;", "1", "0;"]
    assert maps[ADDRESSES].split()[:2] == ["default", "$closed_to_others;"]


def test_maintenance_needs_no_release_and_changes_only_the_site():
    on, off = (configuration(make_settings(maintenance=is_on), "/h.pyz") for is_on in (True, False))
    assert on.digest() == off.digest()
    assert "maintenance" not in off.files[SITE]
    assert [path for path in on.files if on.files[path] != off.files[path]] == [SITE]


def test_the_balancers_own_checks_use_https_if_visitors_do_so_that_the_app_answers_them_without_a_redirect():
    https = site("10.0.0.1", domain="rocket.test", balancer=True, target="aws", zone="rocket.test")
    assert re.search(r"map \$balancers_check \$usual_scheme \{\s+default \$scheme;\s+1 https;", https)
    assert '"" $usual_scheme;' in https
    for text in (site("10.0.0.1", domain="rocket.test"), site("10.0.0.1", target="aws")):
        assert "usual_scheme" not in text
        assert '"" $scheme;' in text


def test_the_local_balancer_passes_headers_as_large_as_a_server_does():
    text = balancer_files()[SITE]
    for directive in ("large_client_header_buffers 52 16k;", "proxy_buffer_size 36k;"):
        assert directive in text
        assert directive in site()
