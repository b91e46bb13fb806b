"""Reading a certificate, and the part of Nginx's site for it."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from host import configure, https_listener
from host.certificates import issued
from host.certificates.issued import CHAIN, KEY, Issued
from host.configure import Configuration
from host.paths import Paths
from tests.unit.certificate_server import DAY, DOMAIN, WWW, make_certificate, write_certificate

BEGINS = 1_800_000_000.0


def certificate(*names: str, days: float = 90) -> Issued:
    return Issued(names=frozenset(names), begins=BEGINS, ends=BEGINS + days * DAY)


def test_names_addresses_and_dates_are_read_as_openssl_prints_them(tmp_path: Path):
    names = ("Example.org", "*.example.net", "203.0.113.7", "2001:db8::1")
    write_certificate(tmp_path, names, days=6.5, begins=BEGINS)
    found = issued.read(tmp_path)
    assert found == Issued(
        names=frozenset({"example.org", "*.example.net", "203.0.113.7", "2001:db8::1"}),
        begins=BEGINS,
        ends=BEGINS + 6.5 * DAY,
    )


def test_a_certificate_with_a_hundred_names_has_them_all(tmp_path: Path):
    names = {f"name-{number}.example.org" for number in range(100)}
    write_certificate(tmp_path, names)
    found = issued.read(tmp_path)
    assert found and found.names == names


def test_the_first_certificate_of_a_chain_counts(tmp_path: Path):
    write_certificate(tmp_path, [DOMAIN])
    with (tmp_path / CHAIN).open("a") as chain:
        chain.write(make_certificate(["authority.example"])[0])
    found = issued.read(tmp_path)
    assert found and found.names == {DOMAIN}


def test_a_folder_without_a_usable_certificate_has_none(tmp_path: Path):
    assert issued.read(tmp_path) is None
    write_certificate(tmp_path, [DOMAIN])
    chain, key = (tmp_path / CHAIN).read_bytes(), (tmp_path / KEY).read_bytes()
    other_key = make_certificate([DOMAIN])[1].encode()
    for broken_chain, broken_key in [
        (chain[:200], key), (b"", key), (chain, b""), (chain, key[:100]), (chain, other_key), (b"\0\xff", key),
    ]:  # fmt: skip
        (tmp_path / CHAIN).write_bytes(broken_chain)
        (tmp_path / KEY).write_bytes(broken_key)
        assert issued.read(tmp_path) is None
    (tmp_path / CHAIN).write_bytes(chain)
    (tmp_path / KEY).unlink()
    assert issued.read(tmp_path) is None
    (tmp_path / KEY).write_bytes(key)
    assert issued.read(tmp_path)


def test_a_key_with_a_password_asks_nobody_for_it(tmp_path: Path):
    write_certificate(tmp_path, [DOMAIN])
    command = ["openssl", "pkey", "-in", KEY, "-aes128", "-passout", "pass:secret", "-out", "encrypted.pem"]
    subprocess.run(command, cwd=tmp_path, check=True)
    (tmp_path / "encrypted.pem").rename(tmp_path / KEY)
    assert issued.read(tmp_path) is None


def test_a_text_without_dates_is_an_error():
    with pytest.raises(ValueError, match="no dates"):
        issued.parse("notBefore=2026-01-01 00:00:00Z\n")


@pytest.mark.parametrize(
    ("days", "renewal"), [(90, 60), (45, 30), (10, 10 * 2 / 3), (9.9, 9.9 / 2), (160 / 24, 80 / 24)]
)
def test_a_third_of_the_life_is_left_at_the_renewal_and_half_of_a_short_one(days: float, renewal: float):
    assert (certificate(days=days).renewal - BEGINS) / DAY == pytest.approx(renewal)


def test_people_are_warned_in_the_last_fifth_of_the_life():
    own = certificate(days=100)
    assert [own.is_late(BEGINS + day * DAY) for day in (0, 79.9, 80.1, 200)] == [False, False, True, True]
    assert [own.has_ended(BEGINS + day * DAY) for day in (99.9, 100)] == [False, True]


def hosts(text: str) -> list[str]:
    """The hosts for which HTTPS works, by the text of the listener."""
    return re.findall(r'^if \(\$host = "(.+)"\) \{\n    set \$https_works 1;\n\}$', text, re.MULTILINE)


def test_without_a_certificate_the_site_has_only_http():
    lines = https_listener.content(None, BEGINS).splitlines()
    assert [line for line in lines if not line.startswith("#")] == []


def test_https_works_for_the_names_of_the_certificate_as_they_stand_in_a_url():
    text = https_listener.content(certificate(WWW, DOMAIN, "203.0.113.7", "2001:db8::1"), BEGINS)
    assert hosts(text) == ["203.0.113.7", "[2001:db8::1]", DOMAIN, WWW]
    assert f"ssl_certificate {Paths().certificate}/fullchain.pem;" in text


def test_a_hundred_long_names_stay_below_the_length_that_nginx_allows():
    names = [f"{'a' * 60}.{'b' * 60}.{number}.example.org" for number in range(100)]
    text = https_listener.content(certificate(*names), BEGINS)
    assert len(hosts(text)) == 100
    # https://github.com/nginx/nginx/blob/master/src/core/ngx_conf_file.c: NGX_CONF_BUFFER
    assert max(map(len, text.splitlines())) < 4096


def test_no_other_text_of_an_authority_gets_into_nginx_settings():
    hostile = ['a"){return/**/200;}', "*.example.org", "$host", "a;b"]
    assert hosts(https_listener.content(certificate(DOMAIN, *hostile), BEGINS)) == [DOMAIN]


def test_a_certificate_that_has_ended_is_shown_but_nobody_is_redirected_to_it():
    text = https_listener.content(certificate(DOMAIN), BEGINS + 91 * DAY)
    assert "listen 443 ssl" in text
    assert hosts(text) == []


def test_the_part_for_https_is_written_only_for_a_site_that_includes_it(tmp_path: Path):
    paths = Paths(tmp_path)
    path, site = str(Paths().https_listener), str(Paths().site)
    assert https_listener.computed_files(paths, {site: "server { }"}) == {}
    assert https_listener.computed_files(paths, {}) == {}
    write_certificate(paths.certificate, [DOMAIN])
    [(written, text)] = https_listener.computed_files(paths, {site: f"server {{ include {path}; }}"}).items()
    assert (written, hosts(text)) == (path, [DOMAIN])


def test_a_certificate_with_a_broken_key_doesnt_stop_a_configuration(tmp_path: Path):
    paths, commands = Paths(tmp_path), list[str]()
    site = {str(Paths().site): f"include {Paths().https_listener};\n"}
    write_certificate(paths.certificate, [DOMAIN])
    (paths.certificate / KEY).write_text("half a k")
    paths.nginx_main.parent.mkdir(parents=True)
    paths.nginx_main.write_text("events {\n\tworker_connections 768;\n}\n")
    configure.configure(paths, Configuration(site, {}), lambda command: commands.append(" ".join(command)))
    assert "nginx -t -q" in commands
    assert "listen" not in paths.https_listener.read_text()


def test_a_certificate_that_has_just_begun_is_read_on_a_server_whose_clock_is_behind(tmp_path: Path):
    write_certificate(tmp_path, [DOMAIN], begins=time.time() + DAY)
    found = issued.read(tmp_path)
    assert found and not found.has_ended(time.time())
