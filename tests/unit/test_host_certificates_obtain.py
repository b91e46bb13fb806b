"""When a server asks for its certificate, for which names, and what it remembers of the answer."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from host.certificates import archive, certbot, issued, obtain, reachability, record, serving
from host.certificates.record import Record
from host.errors import ReleaseError
from host.lock import exclusive
from tests.unit.certificate_server import (
    ADDRESS,
    ALIAS,
    ALL,
    DAY,
    DOMAIN,
    WWW,
    CertificateServer,
    request,
    write_certbots,
    write_certificate,
)

MINUTES = 60.0
HOUR = 3600.0


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateServer:
    monkeypatch.setattr(archive, "_PAUSE_SECONDS", 0.0)
    return CertificateServer(tmp_path, monkeypatch)


def ask(server: CertificateServer, *names: str, directory: str = "") -> Record:
    asked = request(*names)
    return obtain.obtain(server.paths, replace(asked, directory=directory or asked.directory), wait=0)


def renew(server: CertificateServer) -> Record:
    result = obtain.renew(server.paths)
    assert result
    return result


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


@pytest.mark.parametrize(
    "error",
    [
        ReleaseError("certbot can't be installed: the registry doesn't answer"),
        OSError(28, "No space left on device"),
        subprocess.CalledProcessError(1, ["chown"]),
        subprocess.TimeoutExpired(["sync"], 3),
    ],
)
def test_whatever_fails_is_recorded_and_tried_again_after_a_pause(
    error: Exception, server: CertificateServer, monkeypatch: pytest.MonkeyPatch
):
    def fail(_paths: object) -> Path:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(certbot, "ensure", fail)
        result = ask(server)
    assert result.problem == str(error)
    assert record.read(server.paths) == result
    assert any(str(error) in line for line in obtain.lines(server.paths, result))
    renew(server)
    assert server.asked == []
    server.now += 16 * MINUTES
    assert renew(server).problem == ""
    assert server.served == set(ALL)


def test_a_run_that_is_killed_while_it_asks_counts_as_a_failure(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
):
    class KilledError(BaseException):
        """Not an error that the program handles."""

    def die(*_arguments: object, **_options: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(certbot, "obtain", die)
        with pytest.raises(KilledError):
            ask(server)
    assert "it was killed" in renew(server).problem
    assert server.asked == []
    server.now += 16 * MINUTES
    assert renew(server).problem == ""


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


OTHER = "https://other.example/directory"


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


def test_a_request_waits_for_another_one_and_fails_no_up_if_that_takes_too_long(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(obtain, "WAIT_SECONDS", 0.2)
    with exclusive(server.paths.certificate_lock, "the other request"):
        result = ask(server)
        with pytest.raises(ReleaseError, match="the other request"):
            obtain.renew(server.paths)
        with pytest.raises(ReleaseError, match="the other request"):
            obtain.restore(server.paths, {})
    assert "the other request" in result.problem
    assert server.asked == []
    assert obtain.report(server.paths, result, server.now)["stale"] == 0


def test_a_person_who_asks_while_up_changes_the_names_gets_the_new_ones(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
):
    ask(server, DOMAIN)
    original, threads = certbot.obtain, list[threading.Thread]()

    def obtain_slowly(*arguments: object, **options: object) -> None:
        if not threads:
            thread = threading.Thread(target=lambda: obtain.renew(server.paths, at_once=True))
            threads.append(thread)
            thread.start()
            thread.join(0.3)
        action: Callable[..., None] = original
        action(*arguments, **options)

    monkeypatch.setattr(certbot, "obtain", obtain_slowly)
    ask(server, DOMAIN, ALIAS)
    threads[0].join()
    assert server.asked_names() == [[DOMAIN], [DOMAIN, ALIAS], [DOMAIN, ALIAS]]
    assert server.served == {DOMAIN, ALIAS}


def test_a_release_in_progress_doesnt_lose_the_new_certificate(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(serving, "LOCK_SECONDS", 0.1)
    with exclusive(server.paths.lock, "a release"):
        assert "a release" in ask(server).problem
    assert server.served == set()
    server.now += 16 * MINUTES
    assert renew(server).problem == ""
    assert server.served == set(ALL)
    assert len(list(server.paths.acme_config.glob("archive/gantry/cert*.pem"))) == 1


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "null", "{}", '{"request": {}}', '{"request": null}', '{"request": {"names": 7}}', "\x00"],
)
def test_a_record_that_cant_be_read_is_as_if_there_was_none(text: str, server: CertificateServer):
    server.paths.certificate_record.parent.mkdir(parents=True)
    server.paths.certificate_record.write_text(text)
    assert obtain.renew(server.paths) is None
    assert ask(server).problem == ""
    assert server.served == set(ALL)


def test_records_of_other_versions_are_read(server: CertificateServer):
    own = replace(Record(request=request()).failed("down", 7.0), missing={WWW: "no record"})
    document = {**asdict(own), "later": 1}
    document["request"] |= {"later": 2}
    del document["refused"], document["request"]["root"]
    server.paths.certificate_record.parent.mkdir(parents=True)
    server.paths.certificate_record.write_text(json.dumps(document))
    assert record.read(server.paths) == own


def test_the_request_of_up_may_have_more_fields_than_the_server_knows():
    document = {**asdict(request()), "run": 3, "names": list(ALL)}
    assert record.request_of(document) == request()


def test_half_a_certificate_that_a_killed_certbot_has_left_is_replaced(server: CertificateServer):
    top = server.paths.acme_config
    for rest in ("archive/gantry/privkey1.pem", "live/gantry/README", "renewal/gantry.conf"):
        (top / rest).parent.mkdir(parents=True)
        (top / rest).touch()
    (top / "live/gantry/cert.pem").symlink_to("../../archive/gantry/cert1.pem")
    (top / "accounts").mkdir()
    (top / "accounts/own").touch()
    left = list[bool]()
    run = certbot._run  # pyright: ignore[reportPrivateUsage]

    def look_first(*arguments: object) -> subprocess.CompletedProcess[str]:
        left.extend((top / folder).exists() for folder in ("archive/gantry", "live/gantry", "renewal/gantry.conf"))
        action: Callable[..., subprocess.CompletedProcess[str]] = run
        return action(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certbot, "_run", look_first)
        assert ask(server).problem == ""
    assert left == [False, False, False]
    assert (top / "accounts/own").exists()
    assert server.served == set(ALL)


def test_a_certbot_that_succeeds_without_a_certificate_has_failed(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(certbot, "_run", lambda *_: subprocess.CompletedProcess([], 0, "", ""))
    result = ask(server)
    assert "no certificate that can be read" in result.problem
    assert (result.failures, result.refused) == (1, {})


@pytest.mark.parametrize("rest", ["half a certificate", ""])
def test_a_broken_certificate_of_nginx_is_mended_from_certbots(rest: str, server: CertificateServer):
    ask(server)
    (server.paths.certificate / issued.CHAIN).write_text(rest)
    server.shown = b""
    renew(server)
    assert server.served == set(ALL)
    assert server.reloads == 2


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


def test_a_certificate_that_somebody_has_put_there_is_no_reason_to_forget_the_request(server: CertificateServer):
    write_certificate(server.paths.certificate, [DOMAIN])
    (server.paths.certificate / issued.KEY).unlink()
    (server.paths.certificate / issued.CHAIN).unlink()
    server.paths.certificate.rmdir()
    server.paths.certificate.symlink_to(server.paths.certificates / "gone")
    assert ask(server).problem == ""
    assert server.served == set(ALL)
