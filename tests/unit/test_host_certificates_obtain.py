"""For which names a server asks, which authority, and what it reports of the result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host.certificates import archive, issued, obtain, reachability, record
from tests.unit.certificate_server import (
    ADDRESS,
    ALIAS,
    ALL,
    DAY,
    DOMAIN,
    WWW,
    CertificateServer,
    ask,
    renew,
    request,
    write_certbots,
)

OTHER = "https://other.example/directory"
MINUTES = 60.0


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateServer:
    monkeypatch.setattr(archive, "_PAUSE_SECONDS", 0.0)
    return CertificateServer(tmp_path, monkeypatch)


def test_a_server_gets_one_certificate_for_all_its_names_and_remembers_it(server: CertificateServer):
    result = ask(server)
    assert (result.problem, result.missing, result.failures) == ("", {}, 0)
    assert server.asked_names() == [list(ALL)]
    assert server.served == set(ALL)
    assert record.read(server.paths) == result
    assert server.paths.certificate_record.stat().st_mode & 0o777 == 0o600


def test_asking_again_for_the_same_names_changes_nothing(server: CertificateServer):
    ask(server)
    folder = server.paths.certificate.readlink()
    ask(server)
    assert (server.paths.certificate.readlink(), server.reloads) == (folder, 1)
    assert all("--keep-until-expiring" in arguments for arguments in server.asked)


def test_a_name_without_a_record_is_left_out_and_named_with_the_record_to_create(server: CertificateServer):
    server.dns = {DOMAIN: [ADDRESS], ALIAS: [ADDRESS]}
    result = ask(server)
    assert server.asked_names() == [[DOMAIN, ALIAS]]
    assert result.missing == {WWW: f"DNS doesn't know {WWW}; create the record: {WWW}. A {ADDRESS}"}
    assert server.served == {DOMAIN, ALIAS}


def test_without_any_record_the_authority_isnt_asked(server: CertificateServer):
    server.dns = {}
    result = ask(server)
    assert set(result.missing) == set(ALL)
    assert server.asked == []
    assert not server.paths.https_listener.exists()
    assert obtain.report(server.paths, result, server.now)["stale"] == 0


def test_fewer_names_get_another_certificate(server: CertificateServer):
    ask(server)
    result = ask(server, DOMAIN)
    assert (result.missing, server.served) == ({}, {DOMAIN})


def test_names_of_another_domain_replace_the_certificate(server: CertificateServer):
    ask(server)
    server.dns = {"example.com": [ADDRESS]}
    result = ask(server, "example.com", "www.example.com")
    assert set(result.missing) == {"www.example.com"}
    assert server.served == {"example.com"}


def test_an_address_gets_a_certificate_without_dns_and_another_one_when_it_changes(server: CertificateServer):
    for address in (ADDRESS, "2001:db8::7"):
        result = ask(server, address)
        assert (result.missing, server.served) == ({}, {address})
        assert server.asked[-1][-2:] == ["--ip-address", address]
        assert "shortlived" in server.asked[-1]


def test_another_authority_issues_another_certificate_at_once(server: CertificateServer):
    ask(server)
    ask(server, directory=OTHER)
    ask(server, directory=OTHER)
    assert ["--force-renewal" in arguments for arguments in server.asked] == [False, True, False]


def test_another_authority_that_fails_at_first_is_asked_again(server: CertificateServer):
    ask(server)
    server.error = "down"
    result = ask(server, directory=OTHER)
    # Until then, visitors have HTTPS, and each `up` asks, too.
    assert server.served == set(ALL)
    assert obtain.report(server.paths, result, server.now)["https"]
    assert obtain.report(server.paths, result, server.now)["stale"] == 0
    server.error = ""
    server.now += 16 * MINUTES
    renew(server)
    assert "--force-renewal" in server.asked[-1]


def test_a_kept_certificate_of_another_authority_is_replaced(server: CertificateServer):
    write_certbots(server.paths, ALL, directory=OTHER)
    ask(server)
    assert "--force-renewal" in server.asked[-1]


def test_the_report_for_up_is_out_of_date_a_day_after_the_renewal(server: CertificateServer):
    result = ask(server)
    report = obtain.report(server.paths, result, server.now)
    certificate = issued.read(server.paths.certificate)
    assert certificate and report["stale"] == certificate.renewal + DAY
    assert (report["https"], report["names"], report["missing"]) == (True, sorted(ALL), {})
    assert report["archive"] == archive.pack(server.paths)
    json.dumps(report)


def test_a_missing_www_alone_doesnt_make_every_up_ask(server: CertificateServer):
    server.dns = {DOMAIN: [ADDRESS], ALIAS: [ADDRESS]}
    assert obtain.report(server.paths, ask(server), server.now)["stale"] > server.now
    server.dns = {DOMAIN: [ADDRESS]}
    assert obtain.report(server.paths, ask(server), server.now)["stale"] > server.now
    assert obtain.report(server.paths, ask(server, DOMAIN, "new.example.net"), server.now)["stale"] == 0


def test_https_doesnt_work_for_visitors_without_the_sites_own_name_or_after_the_end(server: CertificateServer):
    server.refused = {DOMAIN}
    result = ask(server)
    assert not obtain.report(server.paths, result, server.now)["https"]
    server.refused = set()
    result = ask(server, DOMAIN)
    assert obtain.report(server.paths, result, server.now)["https"]
    assert not obtain.report(server.paths, result, server.now + 91 * DAY)["https"]


def test_people_read_what_is_missing_why_and_what_to_do(server: CertificateServer):
    server.dns = {DOMAIN: [ADDRESS]}
    lines = obtain.lines(server.paths, ask(server, DOMAIN, ALIAS))
    assert lines[0].startswith(f"HTTPS for {DOMAIN} until 20")
    assert lines[1] == f"no certificate for {ALIAS}: DNS doesn't know {ALIAS}; create the record: {ALIAS}. A {ADDRESS}"
    assert lines[2].endswith("sudo gantry renew-certificate --now")


def test_a_certificate_that_has_ended_is_not_called_https(server: CertificateServer):
    result = ask(server)
    server.now += 91 * DAY
    assert obtain.lines(server.paths, result)[0].startswith(f"HTTPS for {', '.join(sorted(ALL))} ended at 20")


def test_a_site_without_https_asks_nobody(server: CertificateServer):
    ask(server)
    server.paths.site.write_text("server { }\n")
    assert obtain.renew(server.paths) is None
    assert obtain.renew(server.paths, at_once=True) is None
    server.paths.site.unlink()
    assert obtain.renew(server.paths) is None
    assert len(server.asked) == 1


def test_a_server_that_nobody_has_told_its_names_asks_nobody(server: CertificateServer):
    assert obtain.renew(server.paths) is None
    assert server.asked == []


def test_the_first_name_is_waited_for_because_its_record_may_be_new(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reachability, "PAUSE_SECONDS", 0.01)
    lookups = list[str]()

    def addresses(name: str) -> list[str]:
        lookups.append(name)
        return [ADDRESS] if lookups.count(DOMAIN) > 2 and name == DOMAIN else []

    monkeypatch.setattr(reachability, "addresses_of", addresses)
    result = obtain.obtain(server.paths, request(), wait=10)
    assert set(result.missing) == {WWW, ALIAS}
    assert lookups.count(DOMAIN) == 3
