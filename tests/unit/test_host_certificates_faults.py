"""Failures, killed runs, locks and broken files while a server gets its certificate."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from host.certificates import archive, certbot, issued, obtain, record, serving
from host.certificates.record import Record
from host.errors import ReleaseError
from host.lock import exclusive
from tests.unit.certificate_server import (
    ALIAS,
    ALL,
    DOMAIN,
    WWW,
    CertificateServer,
    ask,
    renew,
    request,
    write_certificate,
)

MINUTES = 60.0


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateServer:
    monkeypatch.setattr(archive, "_PAUSE_SECONDS", 0.0)
    return CertificateServer(tmp_path, monkeypatch)


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


def test_a_certificate_that_somebody_has_put_there_is_no_reason_to_forget_the_request(server: CertificateServer):
    write_certificate(server.paths.certificate, [DOMAIN])
    (server.paths.certificate / issued.KEY).unlink()
    (server.paths.certificate / issued.CHAIN).unlink()
    server.paths.certificate.rmdir()
    server.paths.certificate.symlink_to(server.paths.certificates / "gone")
    assert ask(server).problem == ""
    assert server.served == set(ALL)
