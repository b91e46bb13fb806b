"""The setting ``tls`` with a certificate of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pulumi
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from components.settings import own_certificate
from components.settings.common import Settings
from components.settings.own_certificate import OwnCertificate
from tests.issuer import Issuer, Pair, issue, key_pem
from tests.stack_settings import mistakes, read

AWS: dict[str, Any] = {"target": "aws", "region": "eu-central-1", "sshFrom": ["203.0.113.7/32"]}
NAMES = ("example.org", "www.example.org")
ISSUER = Issuer.new()
SITE = ISSUER.issue(*NAMES)
CHAIN = ISSUER.chain(SITE)


def tls(pair: Pair, **changes: object) -> dict[str, object]:
    parts = {"certificate": ISSUER.chain(pair), "key": pair.key_pem, **changes}
    return {name: part for name, part in parts.items() if part is not None}


def read_tls(root: Path, value: object, **values: Any) -> Settings:
    return read(root, secret=["tls"], **{"domain": "example.org", **values, "tls": value})


def lines(root: Path, value: object, secret: Sequence[str] = ("tls",), **values: Any) -> list[str]:
    """The mistakes. None of them shows a line of a key."""
    text = mistakes(root, secret=secret, **{"domain": "example.org", **values, "tls": value})
    keys = [str(value.get("key", "")), str(value.get("certificate", ""))] if isinstance(value, dict) else []
    assert not [line for key in keys for line in key.splitlines() if line and line in text and "----" not in line]
    return [line.removeprefix("  - ") for line in text.splitlines()[1:]]


def certificate(root: Path, pair: Pair, **values: Any) -> OwnCertificate:
    found = read_tls(root, tls(pair, **values.pop("parts", {})), **values).tls
    assert isinstance(found, OwnCertificate)
    return found


def warnings(root: Path, pair: Pair, **values: Any) -> list[str]:
    return list(own_certificate.warnings(certificate(root, pair, **values), "example.org"))


@pytest.mark.parametrize("key", [None, rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())])
def test_a_server_serves_https_with_a_certificate_of_its_own(root: Path, key: Any):
    pair = ISSUER.issue(*NAMES, key=key)
    settings = read_tls(root, tls(pair), **AWS, hsts=True)
    assert isinstance(settings.tls, OwnCertificate)
    assert settings.https and settings.server_has_https
    assert (settings.tls.chain, settings.tls.key, settings.tls.names) == (
        ISSUER.chain(pair), pair.key_pem, frozenset(NAMES)
    )  # fmt: skip
    assert list(own_certificate.warnings(settings.tls, "example.org")) == []


def test_the_key_is_not_in_the_representation_of_the_settings(root: Path):
    settings = read_tls(root, tls(SITE))
    assert "PRIVATE" not in repr(settings) + repr(settings.tls)


def test_words_are_still_words(root: Path):
    assert read(root, tls="off").tls == "off"
    assert not read(root, tls="off").server_has_https
    [line] = lines(root, "[1]", secret=())
    assert line.startswith("tls is '[1]', but must be one of: auto, off")
    [line] = lines(root, "hunter2")
    assert line.startswith("tls is [secret], but") and "hunter2" not in line


def test_the_rsa_key_of_older_tools_is_read_too(root: Path):
    from cryptography.hazmat.primitives import serialization

    pair = ISSUER.issue(*NAMES, key=rsa.generate_private_key(65537, 2048))
    older = pair.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    assert certificate(root, pair, parts={"key": older}).key == pair.key_pem


def test_a_key_that_isnt_secret_is_refused_with_the_command_and_what_to_do_if_it_was_committed(root: Path):
    [line] = lines(root, tls(SITE), secret=())
    assert line.startswith("tls.key isn't secret")
    assert "pulumi config set --secret --path tls.key < privkey.pem" in line
    assert "make a new key" in line


def test_a_secret_certificate_doesnt_hide_that_the_key_is_in_plain_text(root: Path):
    indented = "".join(f"        {line}\n" for line in SITE.key_pem.splitlines())
    text = f"config:\n  gantry:tls:\n    certificate:\n      secure: v1:abc\n    key: |\n{indented}"
    (root / f"Pulumi.{pulumi.get_stack()}.yaml").write_text(text)
    [line] = lines(root, tls(SITE))
    assert line.startswith("tls.key isn't secret")
    (root / f"Pulumi.{pulumi.get_stack()}.yaml").write_text(text.replace("key: |", "other: |"))
    read_tls(root, tls(SITE))


@pytest.mark.parametrize(
    ("value", "start", "command"),
    [
        (tls(SITE, certificate=None), "tls.certificate is missing", own_certificate.SET_CERTIFICATE),
        (tls(SITE, key=None), "tls.key is missing", own_certificate.SET_KEY),
        (tls(SITE, key=""), "tls.key is missing", own_certificate.SET_KEY),
        (tls(SITE, key=7), "tls.key isn't text", own_certificate.SET_KEY),
        (tls(SITE, chain=CHAIN), "tls.chain is no part of a certificate", "pulumi config rm --path 'tls[\"chain\"]'"),
        (tls(SITE, certificate="hunter2"), "tls.certificate must be one or more cert", own_certificate.SET_CERTIFICATE),
        (
            tls(SITE, certificate=SITE.pem[:99]),
            "tls.certificate must be one or more cert",
            own_certificate.SET_CERTIFICATE,
        ),
        (tls(SITE, certificate=CHAIN + SITE.key_pem), "tls.certificate has a private key", "make a new key"),
        (tls(SITE, key="hunter2"), "tls.key is no private key in PEM", own_certificate.SET_KEY),
        (tls(SITE, key=SITE.key_pem[:99]), "tls.key is no private key in PEM", own_certificate.SET_KEY),
        (tls(SITE, key=CHAIN), "tls.key is no private key in PEM", own_certificate.SET_KEY),
        (tls(SITE, key=key_pem(SITE.key, "hunter2")), "tls.key is encrypted with a passphrase", "openssl pkey -in"),
        (
            tls(SITE, key=ISSUER.root.key_pem),
            "tls.key doesn't belong to tls.certificate (CN=example",
            own_certificate.SET_KEY,
        ),
        (
            tls(SITE, certificate=ISSUER.intermediate.pem + SITE.pem),
            "tls.certificate: the certificate of tls.key is number 2 of 2, but must be the first",
            own_certificate.SET_CERTIFICATE,
        ),
        (
            tls(SITE, certificate=SITE.pem + ISSUER.root.pem + ISSUER.intermediate.pem),
            "tls.certificate: certificate 1 of 3 (CN=example.org) isn't issued by the next one (CN=Test Root)",
            own_certificate.SET_CERTIFICATE,
        ),
        (
            tls(SITE, certificate=CHAIN + Issuer.new().root.pem),
            "tls.certificate: certificate 2 of 3 (CN=Test Intermediate) isn't issued by the next one (CN=Test Root)",
            own_certificate.SET_CERTIFICATE,
        ),
        (
            tls(ISSUER.issue(*NAMES, key=rsa.generate_private_key(65537, 1024))),
            "tls.key is an RSA key of 1024 bits, but must have at least 2048",
            "make a new key",
        ),
        (
            tls(issue("example.org", issuer=ISSUER.intermediate)),
            "tls.certificate has no names",
            own_certificate.SET_CERTIFICATE,
        ),
        (
            tls(ISSUER.issue(*NAMES, begins=-9, ends=-0.01)),
            "tls.certificate ended on 20",
            own_certificate.SET_CERTIFICATE,
        ),
        (tls(ISSUER.issue(*NAMES, begins=0.1)), "tls.certificate isn't valid before 20", "clock"),
    ],
)
def test_the_error_for_a_broken_certificate_or_key_names_the_rule_and_a_remedy(
    root: Path, value: object, start: str, command: str
):
    [line] = lines(root, value)
    assert line.startswith(start)
    assert command in line


def test_an_authority_that_has_ended_is_refused_too(root: Path):
    ended = issue("Old Intermediate", issuer=ISSUER.root, begins=-9, ends=-1, is_authority=True)
    pair = issue("example.org", NAMES, issuer=ended)
    [line] = lines(root, tls(pair, certificate=pair.pem + ended.pem))
    assert line.startswith("tls.certificate: certificate 2 of 2 ended on 20")


def test_all_missing_parts_are_named_at_once(root: Path):
    assert [line.partition(":")[0] for line in lines(root, {"chain": "x"})] == [
        "tls.chain is no part of a certificate; remove it with",
        "tls.certificate is missing, but tls.key needs it",
        "tls.key is missing, but tls.certificate needs it",
    ]


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        (["www.example.org"], "example.org, a.example.net"),
        (["example.org"], "a.example.net"),
        (["*.example.org", "a.example.net"], "example.org"),
        (["example.org", "*.net"], "a.example.net"),
        (["example.org", "*.a.example.net"], "a.example.net"),
        (["example.org", "xa.example.net", "*.b.a.example.net"], "a.example.net"),
    ],
)
def test_the_certificate_must_be_for_the_domain_and_all_aliases(root: Path, names: list[str], lacking: str):
    [line] = lines(root, tls(ISSUER.issue(*names)), aliases={"a.example.net": "redirect"})
    assert line.startswith(
        f"tls.certificate is for {', '.join(sorted(names))}, but must also be for {lacking}: set one"
    )


def test_a_wildcard_counts_for_one_part_of_a_name(root: Path):
    aliases = {"a.example.net": "serve", "b.example.net": "redirect"}
    pair = ISSUER.issue("Example.org", "*.example.org", "*.example.net")
    assert warnings(root, pair, aliases=aliases) == []
    [line] = lines(root, tls(pair), aliases={"a.b.example.net": "serve"})
    assert "must also be for a.b.example.net" in line


def test_without_a_domain_there_is_no_name_to_be_valid_for(root: Path):
    [line] = lines(root, tls(SITE), domain="")
    assert line.startswith("tls is a certificate, but domain is empty")
    assert "pulumi config set domain <value>" in line and line.endswith("pulumi config rm tls")


@pytest.mark.parametrize("values", [{"servers": 2}, {"balancer": True}])
def test_behind_a_balancer_there_is_no_certificate_of_ones_own_yet(root: Path, values: dict[str, Any]):
    [line] = lines(root, tls(SITE), **AWS, **values)
    assert line.startswith("tls is a certificate, but must be off with a balancer")
    assert "the setting zone" in line and "pulumi config set tls off" in line


@pytest.mark.parametrize(("days", "span"), [(20.99, "20 days"), (2.1, "2 days"), (0.5, "12 hours")])
def test_a_certificate_that_ends_soon_is_a_warning(root: Path, days: float, span: str):
    [line] = warnings(root, ISSUER.issue(*NAMES, ends=days))
    assert line.startswith(f"tls.certificate ends in {span}, on 20")
    assert own_certificate.SET_CERTIFICATE in line and own_certificate.SET_KEY in line
    assert warnings(root, ISSUER.issue(*NAMES, ends=21.01)) == []


def test_a_certificate_that_isnt_for_www_is_a_warning(root: Path):
    [line] = warnings(root, ISSUER.issue("example.org"))
    assert line.startswith("tls.certificate isn't for www.example.org")


def test_a_chain_without_the_issuer_is_a_warning_unless_no_more_can_be_known(root: Path):
    [line] = warnings(root, SITE, parts={"certificate": SITE.pem})
    assert "without that of its issuer" in line
    itself = issue("example.org", NAMES)
    [line] = warnings(root, itself, parts={"certificate": itself.pem})
    assert "is issued by itself" in line
