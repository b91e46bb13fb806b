"""A certificate of the settings: how a server gets it, and what the server does with it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from components.app_data import Resource
from components.described import health
from components.rollout import certificate
from components.settings.own_certificate import OwnCertificate
from host import status
from host.certificates import certbot, obtain, own_certificate, record, serving
from host.errors import ReleaseError
from host.layers import certificate as layer
from host.layers import listeners
from host.layers.listeners import Listener
from host.paths import Paths
from tests.issuer import Issuer
from tests.mocks import Recorder, build_fleet, build_stack, is_secret
from tests.stack_settings import make_settings

OWN = OwnCertificate(
    chain="CHAIN\n",
    key="hunter2\n",
    names=frozenset({"rocket.test"}),
    begins=datetime.now(UTC) - timedelta(days=1),
    ends=datetime.now(UTC) + timedelta(days=5),
    issued_by_itself=False,
    lacks_issuer=False,
)
COMMAND = "dev-0-own-certificate"
ISSUER = Issuer.new()
REQUEST = record.Request(names=("rocket.test",), address="192.0.2.10", directory="https://ca.example.org/dir")


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return build_stack(tmp_path, stack="dev", domain="rocket.test", tls=OWN)


def test_a_server_gets_the_certificate_after_its_configuration_and_before_its_release(recorder: Recorder):
    assert "dev-0-configure" in recorder.custom(COMMAND).dependency_names
    assert COMMAND in recorder.custom("dev-0-release").dependency_names
    assert not [name for name in recorder.custom_names() if name in ("dev-0-certificate", "dev-0-kept-certificate")]


def test_the_key_is_only_in_the_secret_input_of_one_command_of_the_user_admin(recorder: Recorder):
    inputs = recorder.custom(COMMAND).inputs
    assert inputs["create"] == "sudo gantry serve-certificate"
    assert inputs["connection"]["value"]["user"] == "admin"
    assert is_secret(inputs["stdin"])
    assert json.loads(inputs["stdin"]["value"]) == {"chain": "CHAIN\n", "key": "hunter2\n"}
    assert "hunter2" not in str([one.inputs for one in recorder.registrations if one.name != COMMAND])


def test_the_url_is_that_of_the_domain_with_https_and_health_checks_too(recorder: Recorder):
    assert recorder.output["url"] == "https://rocket.test/"
    assert "--scheme https" in recorder.custom("dev-0-release").inputs["create"]


def test_another_certificate_changes_only_the_input_of_that_command(tmp_path: Path, recorder: Recorder):
    other = build_stack(
        tmp_path, stack="dev", domain="rocket.test", tls=OwnCertificate(**{**vars(OWN), "key": "other"})
    )
    changed = [
        (one.name, key)
        for one in recorder.registrations
        for key, value in one.inputs.items()
        if one.custom and key != "source" and other.custom(one.name).inputs[key] != value
    ]
    assert changed == [(COMMAND, "stdin")]


def test_a_new_server_on_aws_has_the_certificate_before_it_gets_the_address(tmp_path: Path):
    site = {"domain": "shop.example.org", "zone": "example.org"}
    aws = {"target": "aws", "region": "eu-central-1", "ssh_from": ("203.0.113.7/32",)}
    recorder = build_stack(tmp_path, stack="dev", tls=OWN, **aws, **site)
    assert recorder.output["url"] == "https://shop.example.org/"
    assert COMMAND in recorder.custom("dev-0-release").dependency_names


def test_a_site_whose_certificate_is_taken_out_of_the_settings_asks_an_authority(tmp_path: Path):
    kept = Resource(urn=f"urn:pulumi:dev::gantry::command:remote:Command::{COMMAND}", outputs={})
    settings = make_settings(target="aws", region="eu-central-1", ssh_from=("203.0.113.7/32",), domain="rocket.test")
    assert certificate.with_default(settings, [kept]).tls == "auto"


def test_without_https_nothing_is_served(tmp_path: Path):
    recorder = build_fleet(tmp_path, make_settings(domain="rocket.test", tls="off"), stack="dev")
    assert not [name for name in recorder.custom_names() if name.endswith("-certificate")]
    assert recorder.output["url"].startswith("http://")


def test_make_up_trusts_a_certificate_that_is_issued_by_itself():
    itself = OwnCertificate(**{**vars(OWN), "issued_by_itself": True})
    assert health(make_settings(domain="rocket.test", tls=itself))["roots"] == "CHAIN\n"
    assert "roots" not in health(make_settings(domain="rocket.test", tls=OWN))


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A server whose site has HTTPS, and whose Nginx takes every certificate."""
    paths = Paths(tmp_path)
    paths.site.parent.mkdir(parents=True)
    paths.site.write_text(f"include {Paths().https_listener};\n")
    monkeypatch.setattr(serving, "_reload", lambda _: None)
    monkeypatch.setattr(serving, "_require_served", lambda _: None)
    monkeypatch.setattr(listeners, "on", lambda _: [Listener("nginx", 1, "nginx.service")])
    return paths


def issue(*, ends: float = 60) -> own_certificate.Pair:
    pair = ISSUER.issue("rocket.test", "*.rocket.test", ends=ends)
    return {"chain": ISSUER.chain(pair), "key": pair.key_pem}


def served_key(paths: Paths) -> str:
    return (paths.certificate / "privkey.pem").read_text()


def test_a_server_serves_the_certificate_and_only_root_can_read_its_key(paths: Paths):
    certificate = issue()
    text = own_certificate.serve(paths, certificate)
    assert text.startswith("HTTPS for *.rocket.test, rocket.test until 20")
    assert served_key(paths) == certificate["key"]
    assert (paths.certificate / "privkey.pem").stat().st_mode & 0o777 == 0o600
    assert paths.certificates.stat().st_mode & 0o777 == 0o700
    assert r'if ($host ~ "^[^.]+\.rocket\.test$")' in paths.https_listener.read_text()
    newer = issue()
    own_certificate.serve(paths, newer)
    assert served_key(paths) == newer["key"]
    assert len(list(paths.certificates.iterdir())) == 1


def test_a_certificate_that_nginx_refuses_is_taken_back(paths: Paths, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: bytes) -> None:
        raise ReleaseError("refused")

    certificate = issue()
    own_certificate.serve(paths, certificate)
    monkeypatch.setattr(serving, "_require_served", refuse)
    with pytest.raises(ReleaseError, match="refused"):
        own_certificate.serve(paths, issue())
    assert served_key(paths) == certificate["key"]


def test_the_timer_asks_no_authority_any_more(paths: Paths):
    record.write(paths, record.Record(request=REQUEST))
    own_certificate.serve(paths, issue())
    # The unit that renews needs this file, too.
    assert not paths.certificate_record.exists()
    assert obtain.renew(paths) is None


def test_the_status_and_the_check_name_the_certificate_and_warn_when_it_ends_soon(paths: Paths):
    assert status._certificate(paths) is None
    assert list(layer.findings(paths)) == []
    own_certificate.serve(paths, issue())
    shown = status._certificate(paths)
    assert shown and not shown["late"]
    assert shown["lines"][0].startswith("HTTPS for *.rocket.test, rocket.test until 20")
    [finding] = layer.findings(paths)
    assert finding.note == shown["lines"][0]
    own_certificate.serve(paths, issue(ends=0.1))
    shown = status._certificate(paths)
    assert shown and shown["late"]
    [finding] = layer.findings(paths)
    assert finding.problem.startswith("it ends soon")
    assert "pulumi config set --path tls.certificate" in finding.remedy


def test_a_site_without_https_has_no_certificate_in_its_status(paths: Paths):
    own_certificate.serve(paths, issue())
    paths.site.write_text("listen 80;\n")
    assert status._certificate(paths) is None
    assert list(layer.findings(paths)) == []


def test_until_the_authoritys_own_certificate_is_served_up_asks_again(paths: Paths, monkeypatch: pytest.MonkeyPatch):
    own_certificate.serve(paths, issue())
    monkeypatch.setattr(obtain.reachability, "unreachable", lambda *_, **__: {})

    def fail(*_: object, **__: object) -> None:
        raise ReleaseError("the authority is down")

    monkeypatch.setattr(certbot, "obtain", fail)
    result = obtain.obtain(paths, REQUEST, wait=0)
    report = obtain.report(paths, result, time.time())
    # The own one is still served, so visitors still have HTTPS.
    assert report["https"] and report["problem"] == "the authority is down"
    assert report["stale"] == 0
