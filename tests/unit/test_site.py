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
from tests.unit.test_golden import parse_nginx, servers_of

SITE = "/etc/nginx/sites-available/gantry"
RULES = "/etc/gantry/firewall"
# Those of the connection and of the visitor.
ADDRESSES = '"$realip_remote_addr $remote_addr"'


def files(*balancer: str, **changes: Any) -> dict[str, str]:
    """The files of a server; ``balancer`` has the addresses of its balancer."""
    return configuration(make_settings(**changes), "/h.pyz", balancer).files


def site(*balancer: str, **changes: Any) -> str:
    return files(*balancer, **changes)[SITE]


def map_of(text: str, variable: str) -> list[str]:
    """The lines of the map that sets a variable."""
    [body] = re.findall(rf"^map [^\n]* \{variable} \{{\n(.*?)^\}}", text, re.DOTALL | re.MULTILINE)
    return [line.strip() for line in body.splitlines()]


def names_of(text: str) -> dict[str, str]:
    """How each name is answered."""
    lines = [re.fullmatch(r'"~\^(.*)\\z" (\w+);', line) for line in map_of(text, "$kind_of_host")]
    return {match[1].replace("\\", ""): match[2] for match in lines if match}


def closed_maps(text: str) -> dict[str, str]:
    """The bodies of the maps that decide who gets the maintenance page, by the variable that each one tests."""
    return dict(re.findall(r"^map (\"[^\"]*\"|[^\"\s]+) \$closed\w* \{(.*?)^\}", text, re.DOTALL | re.MULTILINE))


def test_www_is_redirected_permanently_to_the_bare_domain():
    text = site(domain="rocket.test")
    assert names_of(text) == {"rocket.test": "site", "www.rocket.test": "moved"}
    assert "return 301 $scheme://rocket.test$port_of_host$request_uri;" in text


def test_aliases_are_served_or_redirected_and_other_names_are_misdirected():
    text = site(
        domain="rocket.test", aliases={"b.test": "serve", "a.test": "redirect", "long-" * 40 + "c.test": "serve"}
    )
    assert names_of(text) == {
        "rocket.test": "site", "b.test": "site", "long-" * 40 + "c.test": "site", "www.rocket.test": "moved",
        "a.test": "moved",
    }  # fmt: skip
    # A table of plain names would have room for about 50 letters, and Nginx wouldn't start.
    assert all(line.strip().startswith(('"~^', "default $kind_of_address;")) for line in map_of(text, "$kind_of_host"))


def test_the_host_in_the_stacks_url_is_one_of_the_site():
    aws: dict[str, Any] = {"target": "aws", "domain": "rocket.test", "region": "eu-central-1"}
    zoned = {**aws, "zone": "rocket.test"}
    # A regular expression for the host and the address that the server was reached at.
    for changes, reached in (({"domain": "rocket.test"}, "10.0.0.2 10.0.0.2"), (aws, "203.0.113.7 10.0.0.2")):
        [_, line] = map_of(site(**changes), "$kind_of_address")
        pattern = line.removeprefix('"~').removesuffix('" site;').replace(r"\z", r"\Z")
        assert re.search(pattern, reached)
        assert re.search(pattern, "[fd00::2] fd00::2")
        assert not re.search(pattern, "other.test 10.0.0.2")
        assert bool(re.search(pattern, "127.0.0.1 10.0.0.2")) == ("target" in changes)
    assert "$kind_of_address" not in site(**zoned)
    names = configuration(make_settings(**aws), "/h.pyz", ["10.0.0.0/16"], balancer_host="lb.example").files[SITE]
    assert names_of(names)["lb.example"] == "site"
    assert "$kind_of_address" not in names


def test_without_a_domain_any_name_is_served_and_nothing_is_redirected():
    text = site()
    assert "server_name _;" in text
    for word in ("301", "421", "308", "www", "ssl", "Strict-Transport-Security", "kind_of_host"):
        assert word not in text


def test_any_name_is_right_for_challenges_and_for_requests_of_this_server_and_of_its_balancer():
    """The digits are those of a challenge, of a request of this server, and of a check of the balancer."""
    for balancer, digits in (((), "00"), (("10.0.0.9",), "000")):
        text = site(*balancer, domain="rocket.test")
        checks = "$balancers_check" if balancer else ""
        assert f'map "$is_page$is_challenge$is_own_request{checks}$kind_of_host" $is_misdirected {{' in text
        assert map_of(text, "$is_misdirected") == ["volatile;", 'default "";', f"{digits}other 1;"]
    assert map_of(text, "$is_own_request") == ["default 0;", '"127.0.0.1 127.0.0.1" 1;', '"::1 ::1" 1;']
    assert f"map {ADDRESSES} $is_own_request {{" in text
    assert map_of(text, "$is_moved") == ["volatile;", 'default "";', "0moved 1;"]


TLS: dict[str, Any] = {"domain": "rocket.test", "tls": "auto"}


def test_a_server_with_https_redirects_visitors_who_use_http_but_no_challenge_and_no_request_of_its_own():
    text = site(**TLS)
    assert 'map "$is_page$is_challenge$is_own_request$https_works$usual_scheme" $is_insecure {' in text
    assert map_of(text, "$is_insecure") == ["volatile;", 'default "";', "001http 1;"]
    order = ['set $https_works "";', "include /etc/gantry/https.conf;", "return 421;", "return 308 ", "return 301 "]
    positions = [text.index(line) for line in order]
    assert positions == sorted(positions)
    assert "return 308 https://$host$request_uri;" in text


def test_a_server_without_a_domain_may_have_https_under_its_address():
    text = site(tls="auto")
    assert "return 308 https://$host$request_uri;" in text
    assert "421" not in text and "301" not in text


def test_the_host_programs_checks_and_trusted_proxies_say_which_scheme_visitors_use():
    assert map_of(site(**TLS), "$usual_scheme") == ["default $scheme;", "1https https;"]
    assert "proxy_set_header X-Forwarded-Proto $usual_scheme;" in site(**TLS)
    behind_proxy = site(**TLS, trusted_proxies=("192.0.2.0/24",))
    assert map_of(behind_proxy, "$visitors_scheme") == ["default $usual_scheme;", "1https https;"]
    assert "$https_works$visitors_scheme" in behind_proxy
    plain_proxy = site(domain="rocket.test", trusted_proxies=("192.0.2.0/24",))
    assert map_of(plain_proxy, "$visitors_scheme") == ["default $scheme;", "1https https;"]


def test_the_protocols_ciphers_and_groups_are_those_of_mozillas_intermediate_level():
    text = site(**TLS)
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in text
    [ciphers] = re.findall(r"ssl_ciphers (\S+);", text)
    assert len(ciphers.split(":")) == 6
    assert all(re.fullmatch(r"ECDHE-(ECDSA|RSA)-(AES\d+-GCM|CHACHA20)-\w+", name) for name in ciphers.split(":"))
    assert "ssl_ecdh_curve X25519MLKEM768:X25519:prime256v1:secp384r1;" in text
    assert "stapling on" not in text


def test_challenges_are_files_and_the_app_gets_requests_for_others():
    text = site(**TLS, maintenance=True)
    location = r"location \^~ /\.well-known/acme-challenge/ \{\s+root /var/lib/gantry-acme/challenges;"
    assert re.search(location + r"\s+default_type text/plain;\s+try_files \$uri @app;\s+\}", text)
    assert "gantry-acme" not in site(domain="rocket.test")


def test_every_answer_over_https_has_the_header_of_hsts_if_that_is_set():
    balanced = {"domain": "rocket.test", "balancer": True, "target": "aws", "zone": "rocket.test"}
    # The server, static files and pages. A single server has another location for the page before the first release.
    for text, scheme, count in (
        (site(**TLS, hsts=True, maintenance=True), "$usual_scheme", 4),
        (site("10.0.0.1", **balanced, hsts=True, maintenance=True), "$visitors_scheme", 3),
    ):
        assert f"map {scheme} $transport_security {{" in text
        assert map_of(text, "$transport_security") == ['default "";', 'https "max-age=63072000";']
        header = ["add_header", "Strict-Transport-Security", "$transport_security", "always"]
        server = servers_of(parse_nginx(text))[-1]
        blocks = [server, *server.walk()]
        with_headers = [block for block in blocks if any(line.words[0] == "add_header" for line in block.block)]
        assert len(with_headers) == count
        # A block with such a directive has none of the blocks around it.
        assert all(header in [line.words for line in block.block] for block in with_headers)
        assert "proxy_hide_header Strict-Transport-Security;" in text
    assert "Strict-Transport-Security" not in site(**TLS)


@pytest.mark.parametrize(
    "directive",
    [
        "proxy_set_header Host $host$port_of_host;",
        "proxy_set_header X-Real-IP $remote_addr;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "add_header Retry-After $retry_after always;",
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
    assert r'"~/maintenance\.[a-z]+\z" 300;' in map_of(text, "$retry_after")


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
