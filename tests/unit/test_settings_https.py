"""The settings of the site's names and of HTTPS."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from components.settings import https, pem
from components.settings.tls import certificate_names
from tests.stack_settings import make_settings, mistakes, read

AWS: dict[str, Any] = {"target": "aws", "region": "eu-central-1", "sshFrom": ["203.0.113.7/32"]}
OTHER_CA = "https://ca.example.org/acme/acme/directory"


def mistake_lines(root: Path, **values: Any) -> list[str]:
    return [line.removeprefix("  - ") for line in mistakes(root, **values).splitlines()[1:]]


def test_without_any_setting_there_are_no_aliases_and_no_https(root: Path):
    settings = read(root)
    assert (settings.aliases, settings.tls, settings.acme_root, settings.hsts) == ({}, None, None, False)
    assert settings.acme_directory == "https://acme-v02.api.letsencrypt.org/directory"
    assert not settings.https


def test_an_alias_is_redirected_or_served(root: Path):
    aliases = {"shop.example.net": "redirect", "www.example.net": "serve", "xn--bcher-kva.example": "serve"}
    assert read(root, domain="example.org", aliases=aliases).aliases == aliases


@pytest.mark.parametrize(
    ("aliases", "start", "rule"),
    [
        ({"a.example.net": "forward"}, "aliases[\"a.example.net\"] is 'forward'", "must be one of: redirect, serve"),
        ({"a.example.net": True}, 'aliases["a.example.net"] is True', "must be one of: redirect, serve"),
        ({"A.example.net": "serve"}, 'aliases["A.example.net"]', "a host name in lower case"),
        ({"a.example.net.": "serve"}, 'aliases["a.example.net."]', "without a port or a dot at its end"),
        ({"a.example.net:8080": "serve"}, 'aliases["a.example.net:8080"]', "without a port"),
        ({"localhost": "serve"}, 'aliases["localhost"]', "must be a host name"),
        ({"bücher.example": "serve"}, 'aliases["bücher.example"]', "must be a host name"),
        ({"a_b.example.net": "serve"}, 'aliases["a_b.example.net"]', "must be a host name"),
        ({"a.example.net\n": "serve"}, 'aliases["a.example.net\\n"]', "must be a host name"),
        ({"a.example.net; }": "serve"}, 'aliases["a.example.net; }"]', "must be a host name"),
        ({"192.0.2.10": "serve"}, 'aliases["192.0.2.10"]', "must be a host name"),
        ({"*.example.net": "serve"}, 'aliases["*.example.net"]', "a wildcard can't be an alias"),
        ({"a": {"example": {"net": "serve"}}}, 'aliases["a"]', "without quotes around the whole name"),
        ({"example.org": "serve"}, 'aliases["example.org"]', "is the domain itself"),
        ({"www.example.org": "serve"}, 'aliases["www.example.org"]', "www. is always redirected"),
    ],
)
def test_the_error_for_an_alias_names_it_the_rule_and_a_remedy(
    root: Path, aliases: dict[str, object], start: str, rule: str
):
    [line] = mistake_lines(root, domain="example.org", aliases=aliases)
    assert line.startswith(start)
    assert rule in line
    assert "pulumi config set --path 'aliases[" in line or "pulumi config rm --path 'aliases[" in line


@pytest.mark.parametrize("twin", ["A.Example.net", "a.example.net.", "A.EXAMPLE.NET."])
def test_the_same_alias_in_another_case_or_with_a_dot_at_its_end_is_a_duplicate(root: Path, twin: str):
    [line] = mistake_lines(root, domain="example.org", aliases={"a.example.net": "serve", twin: "redirect"})
    assert line.startswith(f'aliases["{twin}"]: it is the same name as a.example.net')


def test_aliases_are_a_map(root: Path):
    [line] = mistake_lines(root, domain="example.org", aliases=["a.example.net"])
    assert line.startswith("aliases must be a map; set a name with: pulumi config set --path 'aliases[")


def test_aliases_need_a_domain(root: Path):
    [line] = mistake_lines(root, aliases={"b.example.net": "serve", "a.example.net": "serve"})
    assert line.startswith("aliases has a.example.net, b.example.net, but domain is empty")
    assert "pulumi config set domain" in line and "pulumi config rm aliases" in line


def test_a_single_server_on_a_cloud_gets_https(root: Path):
    settings = read(root, **AWS, domain="example.org", tls="auto", hsts=True)
    assert (settings.tls, settings.https, settings.hsts) == ("auto", True, True)


def test_https_without_a_domain_is_for_the_address(root: Path):
    settings = read(root, **AWS, tls="auto")
    assert settings.https
    assert certificate_names(settings) == ()


@pytest.mark.parametrize("values", [{"servers": 2}, {"balancer": True}])
def test_a_server_behind_a_balancer_gets_no_https_of_its_own(root: Path, values: dict[str, object]):
    [line] = mistake_lines(root, **AWS, domain="example.org", tls="auto", **values)
    assert line.startswith("tls is 'auto', but must be off with a balancer")
    assert "the setting zone" in line and line.endswith("pulumi config set tls off")


def test_a_machine_on_this_computer_gets_a_certificate_only_from_an_authority_of_ones_own(root: Path):
    [line] = mistake_lines(root, domain="example.org", tls="auto")
    assert line.startswith("tls is 'auto', but Let's Encrypt can't reach a machine on this computer")
    assert "pulumi config set acmeDirectory" in line and line.endswith("pulumi config set tls off")
    settings = read(root, domain="example.org", tls="auto", acmeDirectory=OTHER_CA, acmeRoot=pem.EXAMPLE)
    assert (settings.acme_directory, settings.acme_root) == (OTHER_CA, pem.EXAMPLE)


def test_one_certificate_has_at_most_a_hundred_names(root: Path):
    aliases = {f"a{number}.example.net": "serve" for number in range(https.MAX_NAMES - 1)}
    [line] = mistake_lines(root, **AWS, domain="example.org", tls="auto", aliases=aliases)
    assert line.startswith("aliases has 99 names, but must have at most 98")
    read(root, domain="example.org", aliases=aliases)


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("tls", "on", "must be one of: auto, off"),
        ("acmeDirectory", "http://ca.example.org/directory", "a URL that starts with https://"),
        ("acmeDirectory", "https://user:hunter2@ca.example.org/", "without a password"),
        ("hsts", "yes", "must be one of: true, false"),
        ("acmeRoot", "hunter2", "one or more certificates in PEM"),
    ],
)
def test_the_error_for_a_wrong_value_has_key_value_rule_and_remedy(root: Path, key: str, value: str, rule: str):
    [line] = mistake_lines(root, domain="example.org", **{key: value})
    assert line.startswith(f"{key} is {value!r}, but")
    assert rule in line
    assert f"pulumi config set {key}" in line


def test_browsers_are_told_to_use_https_only_where_there_is_https(root: Path):
    [line] = mistake_lines(root, domain="example.org", hsts=True)
    assert line.startswith("hsts is true, but visitors use HTTP")
    assert "pulumi config set tls auto" in line and line.endswith("pulumi config set hsts false")
    balanced = read(root, **AWS, domain="example.org", zone="example.org", balancer=True, hsts=True)
    assert balanced.hsts and balanced.https


def test_several_root_certificates_are_read_with_any_space_between_them():
    parse = pem.certificates().parse
    assert parse(f"\n{pem.EXAMPLE}\r\n\n{pem.EXAMPLE.strip()}") == pem.EXAMPLE * 2


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"# Example Root\n{pem.EXAMPLE}", "and nothing else"),
        (pem.EXAMPLE.replace("-----END CERTIFICATE-----", ""), "must be one or more certificates"),
        (pem.EXAMPLE.replace("MIIBRDCB", "MIIBRDC"), "block 1 of 1 is no certificate"),
        (pem.EXAMPLE + ssl.DER_cert_to_PEM_cert(b"no certificate"), "block 2 of 2 is no certificate"),
    ],
)
def test_a_text_that_has_no_certificate_is_no_root(text: str, rule: str):
    with pytest.raises(ValueError, match=rule):
        pem.certificates().parse(text)


def test_the_error_for_a_private_key_as_a_root_doesnt_show_it(root: Path):
    text = mistakes(root, acmeRoot="-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n")
    assert "acmeRoot is '-----BEGIN PRIVATE KEY-----…', but must be one or more certificates" in text
    assert "hunter2" not in text


def test_a_certificate_has_the_domain_its_www_and_the_aliases_in_order():
    aliases = {"shop.example.net": "redirect", "app.example.net": "serve"}
    names = certificate_names(make_settings(domain="example.org", aliases=aliases))
    assert names == ("example.org", "www.example.org", "app.example.net", "shop.example.net")
    assert certificate_names(make_settings()) == ()
