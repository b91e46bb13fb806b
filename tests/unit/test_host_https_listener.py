"""The part of Nginx's site that serves HTTPS."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from host import configure, https_listener
from host.certificates.issued import Issued
from host.paths import Paths

SITE, LISTENER = str(Paths().site), str(Paths().https_listener)
WITH_HTTPS = {SITE: f"include {LISTENER};\n"}


def make_certificate(folder: Path, names: str) -> None:
    """A certificate of its own authority in ``folder``; ``names`` as OpenSSL writes them."""
    folder.mkdir(parents=True)
    chain, key = str(folder / "fullchain.pem"), str(folder / "privkey.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=rocket.test", "-days", "30"]
    extension = f"subjectAltName={names}"
    subprocess.run([*command, "-keyout", key, "-out", chain, "-addext", extension], check=True, capture_output=True)


def test_a_site_without_https_has_no_listener(tmp_path: Path):
    assert https_listener.computed_files(Paths(tmp_path), {SITE: "listen 80;\n"}) == {}


def test_until_there_is_a_certificate_nothing_listens_and_nobody_is_redirected(tmp_path: Path):
    text = https_listener.computed_files(Paths(tmp_path), WITH_HTTPS)[LISTENER]
    assert configure.directives(text) == []


def test_only_visitors_of_the_certificates_names_are_redirected_to_https(tmp_path: Path):
    paths = Paths(tmp_path)
    make_certificate(paths.certificate, "DNS:www.rocket.test,DNS:rocket.test")
    text = https_listener.computed_files(paths, WITH_HTTPS)[LISTENER]
    assert "listen 443 ssl default_server backlog=4096;\nlisten [::]:443 ssl default_server backlog=4096;\n" in text
    # The paths on a server, whatever the root of this test is.
    assert "ssl_certificate_key /var/lib/gantry/certificate/privkey.pem;" in text
    hosts = re.findall(r'^if \(\$host = "(.*)"\) \{\n    set \$https_works 1;\n\}$', text, re.MULTILINE)
    assert hosts == ["rocket.test", "www.rocket.test"]
    assert text.count("https_works") == len(hosts)


def test_a_wildcard_stands_for_one_part_of_a_name():
    certificate = Issued(names=frozenset({"*.rocket.test", "rocket.test", "*.a$b"}), begins=0, ends=9)
    text = https_listener.content(certificate, now=5)
    [pattern] = re.findall(r'if \(\$host ~ "(.*)"\) \{\n    set \$https_works 1;', text)
    assert 'if ($host = "rocket.test")' in text
    assert all(re.search(pattern, name) for name in ("www.rocket.test", "a.rocket.test"))
    for other in ("rocket.test", "a.b.rocket.test", ".rocket.test", "a.rocket.test.evil.test", "a.rocketxtest"):
        assert not re.search(pattern, other), other
    assert "$b" not in text


def test_a_changed_certificate_alone_reloads_nginx(tmp_path: Path):
    paths, calls = Paths(tmp_path), list[str]()

    def apply() -> list[str]:
        calls.clear()
        configure.configure(paths, configure.Configuration(WITH_HTTPS, {}), lambda words: calls.append(" ".join(words)))
        return calls

    assert "nginx -t -q" in apply()
    assert apply() == []
    make_certificate(paths.certificate, "DNS:rocket.test")
    assert [call for call in apply() if "nginx" in call] == ["nginx -t -q", "systemctl reload-or-restart nginx"]
