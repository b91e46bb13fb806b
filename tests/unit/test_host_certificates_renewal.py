"""When a server asks again: renewals, names that are missing or refused, and pauses after failures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from host.certificates import archive, issued, obtain, record
from host.certificates.record import Record
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
)

MINUTES = 60.0
HOUR = 3600.0


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateServer:
    monkeypatch.setattr(archive, "_PAUSE_SECONDS", 0.0)
    return CertificateServer(tmp_path, monkeypatch)


def test_a_name_gets_its_certificate_soon_after_its_record(server: CertificateServer):
    server.dns = {DOMAIN: [ADDRESS], ALIAS: [ADDRESS]}
    ask(server)
    server.now += 5 * MINUTES
    assert renew(server).missing != {}
    assert len(server.asked) == 1
    server.dns = dict.fromkeys(ALL, (ADDRESS,))
    server.now += 5 * MINUTES
    assert renew(server).missing == {}
    assert server.served == set(ALL)


def test_a_name_that_never_gets_a_record_doesnt_stop_the_renewal(server: CertificateServer):
    server.dns = {DOMAIN: [ADDRESS], ALIAS: [ADDRESS]}
    ask(server)
    before = issued.read(server.paths.certificate)
    server.now += 61 * DAY
    renew(server)
    after = issued.read(server.paths.certificate)
    assert before and after and after.ends > before.ends
    assert server.asked_names() == [[DOMAIN, ALIAS]] * 2


@pytest.mark.parametrize(("days", "hours"), [(90, 6), (160 / 24, 6), (1, 1.2)])
def test_the_authority_is_asked_about_the_renewal_every_few_hours(days: float, hours: float, server: CertificateServer):
    server.days = days
    ask(server)
    server.now += hours * HOUR - MINUTES
    renew(server)
    assert len(server.asked) == 1
    server.now += 2 * MINUTES
    renew(server)
    renew(server)
    assert len(server.asked) == 2


def test_a_renewal_waits_longer_after_each_failure_but_never_longer_than_half_a_day(server: CertificateServer):
    server.error = "Detail-free failure"
    ask(server)
    pauses = list[float]()
    for _ in range(8):
        start, runs = server.now, len(server.asked)
        while len(server.asked) == runs:
            server.now += 15 * MINUTES
            renew(server)
        pauses.append((server.now - start) / HOUR)
    assert pauses == [0.25, 0.5, 1, 2, 4, 8, 12, 12]


def test_a_server_that_has_failed_for_years_still_tries(server: CertificateServer):
    ask(server)
    failing = replace(Record(request=request()).failed("rate limit", server.now), failures=5000)
    record.write(server.paths, failing)
    assert renew(server).failures == 5000
    server.now += 13 * HOUR
    assert renew(server).failures == 0


@pytest.mark.parametrize("hours", [-1000, -1])
def test_a_clock_that_was_set_back_neither_prolongs_a_pause_nor_delays_a_check(hours: float, server: CertificateServer):
    server.error = "down"
    ask(server)
    server.error = ""
    server.now += hours * HOUR
    assert renew(server).problem == ""
    server.now += hours * HOUR
    renew(server)
    assert len(server.asked) == 3


def test_a_success_ends_the_pauses(server: CertificateServer):
    server.error = "down"
    ask(server)
    server.error = ""
    server.now += 16 * MINUTES
    assert (renew(server).failures, renew(server).problem) == (0, "")


def test_a_name_that_the_authority_refuses_gets_the_others_a_certificate(server: CertificateServer):
    server.refused = {WWW}
    result = ask(server)
    assert server.served == {DOMAIN, ALIAS}
    assert "the authority refused it" in result.missing[WWW]
    assert (result.problem, result.failures) == ("", 0)


def test_a_refused_name_is_asked_for_again_after_two_days_and_not_before(server: CertificateServer):
    server.refused = {WWW}
    ask(server)
    start = server.now
    while server.now < start + 44 * HOUR:
        server.now += 3.1 * HOUR
        assert "refused" in renew(server).missing[WWW]
    assert server.asked_names()[1:] and all(names == [DOMAIN, ALIAS] for names in server.asked_names()[1:])
    assert len(list(server.paths.acme_config.glob("archive/gantry/cert*.pem"))) == 1
    server.refused = set()
    server.now = start + 49 * HOUR
    assert renew(server).missing == {}
    assert server.served == set(ALL)


def test_a_person_can_ask_at_once_for_a_refused_name(server: CertificateServer):
    server.refused = {WWW}
    ask(server)
    server.refused = set()
    result = obtain.renew(server.paths, at_once=True)
    assert result and (result.missing, result.refused) == ({}, {})
    assert server.served == set(ALL)


def test_each_up_doesnt_ask_again_for_a_refused_name(server: CertificateServer):
    server.refused = {ALIAS}
    ask(server)
    ask(server)
    assert server.asked_names() == [list(ALL), [DOMAIN, WWW]]
    ask(server, DOMAIN, ALIAS)
    assert server.asked_names()[-1] == [DOMAIN, ALIAS]


def test_a_renewal_without_one_of_its_names_doesnt_take_the_certificates_place(server: CertificateServer):
    ask(server)
    server.now += 61 * DAY
    server.refused = {ALIAS}
    result = renew(server)
    assert ALIAS in result.problem
    assert server.served == set(ALL)
    assert "--allow-subset-of-names" not in server.asked[-1]
    # Shortly before its end, a certificate for the other names is better than none.
    server.now += 12 * DAY
    result = renew(server)
    assert "refused" in result.missing[ALIAS]
    assert server.served == {DOMAIN, WWW}


def test_a_new_name_never_costs_an_old_one_its_certificate(server: CertificateServer):
    ask(server, DOMAIN, WWW)
    server.refused = {DOMAIN}
    result = ask(server, DOMAIN, WWW, ALIAS)
    assert DOMAIN in result.problem
    assert server.served == {DOMAIN, WWW}
    server.refused = set()
    server.now += 16 * MINUTES
    assert renew(server).problem == ""
    assert server.served == set(ALL)
