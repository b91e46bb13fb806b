"""The commands for the certificate: what `up` reads, and what people see."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from host import cli
from host.certificates import archive, serving
from host.console import say
from host.paths import Paths
from tests.unit.certificate_server import ADDRESS, ALIAS, DOMAIN, WWW, CertificateServer, request, write_certbots


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateServer:
    monkeypatch.setattr(archive, "_PAUSE_SECONDS", 0.0)
    return CertificateServer(tmp_path, monkeypatch)


class Terminal:
    def __init__(self, paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.setattr(cli, "Paths", lambda: paths)

    def run(self, *words: str, stdin: object = None) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of `gantry` with these words."""
        self._monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(stdin)))
        status = cli.main(words)
        out, err = self._capsys.readouterr()
        return status, out, err


@pytest.fixture
def terminal(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    return Terminal(server.paths, monkeypatch, capsys)


def document(**more: object) -> dict[str, object]:
    """What `up` sends, with a number that only makes this command run again."""
    values = asdict(request())
    del values["names"]
    return {**values, "run": 2, **more}


def test_up_gets_one_document_on_standard_output_and_people_read_standard_error(
    server: CertificateServer, terminal: Terminal
):
    server.dns = {DOMAIN: [ADDRESS]}
    status, out, err = terminal.run("certificate", DOMAIN, WWW, ALIAS, "--wait", "0", stdin=document())
    report = json.loads(out)
    assert status == 0
    assert (report["https"], report["names"], set(report["missing"])) == (True, [DOMAIN], {WWW, ALIAS})
    assert report["archive"] == archive.pack(server.paths)
    assert f"no certificate for {ALIAS}" in err
    assert "PRIVATE KEY" not in err


def test_a_note_about_nginx_doesnt_get_into_the_document(
    server: CertificateServer, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
):
    reload = serving._reload  # pyright: ignore[reportPrivateUsage]

    def reload_slowly(paths: Paths) -> None:
        say("  Nginx still uses its old configuration after 10 s")
        reload(paths)

    monkeypatch.setattr(serving, "_reload", reload_slowly)
    _, out, err = terminal.run("certificate", *request().names, stdin=document())
    assert json.loads(out)["https"]
    assert "Nginx still uses" in err


@pytest.mark.parametrize("error", ["rate limit", "requests.exceptions.ConnectionError: refused"])
def test_an_authority_that_fails_fails_no_up(error: str, server: CertificateServer, terminal: Terminal):
    server.error = error
    status, out, err = terminal.run("certificate", *request().names, stdin=document())
    report = json.loads(out)
    assert (status, report["https"], report["problem"], report["stale"]) == (0, False, error, 0)
    assert error in err and "sudo gantry renew-certificate --now" in err


def test_a_new_server_serves_the_kept_certificate(server: CertificateServer, terminal: Terminal, tmp_path: Path):
    old = Paths(tmp_path / "old")
    write_certbots(old, [DOMAIN])
    kept = json.loads(json.dumps(archive.pack(old)))
    assert terminal.run("restore-certificate", stdin=kept) == (0, "the kept certificate is served\n", "")
    assert server.served == {DOMAIN}
    assert terminal.run("restore-certificate", stdin=kept) == (0, "this server has a certificate\n", "")


def test_without_a_kept_certificate_nothing_is_restored(server: CertificateServer, terminal: Terminal):
    assert terminal.run("restore-certificate", stdin=None) == (0, "there is no kept certificate yet\n", "")
    assert not server.paths.acme.exists()


@pytest.mark.parametrize("kept", [[1], "text", {"files": {"/etc/x": "y"}, "links": {}}, {"files": {}, "links": {}}])
def test_a_kept_certificate_that_cant_be_used_fails_no_up(kept: object, server: CertificateServer, terminal: Terminal):
    status, out, _ = terminal.run("restore-certificate", stdin=kept)
    assert status == 0
    assert "kept certificate" in out and "asks for a new" in out
    assert server.served == set()


def test_a_timer_and_a_person_renew_and_learn_what_is_missing(
    server: CertificateServer, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
):
    status, out, _ = terminal.run("renew-certificate")
    assert (status, out.startswith("this site shall have no certificate")) == (0, True)
    server.error = "down"
    terminal.run("certificate", *request().names, stdin=document())
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    assert terminal.run("renew-certificate")[0] == 1
    assert len(server.asked) == 1
    server.error = ""
    status, out, _ = terminal.run("renew-certificate", "--now")
    assert (status, len(server.asked)) == (0, 2)
    assert out.startswith("HTTPS for ")


def test_a_missing_www_that_nobody_has_asked_for_is_no_failure_of_the_timer(
    server: CertificateServer, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
):
    server.dns = {DOMAIN: [ADDRESS], ALIAS: [ADDRESS]}
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    terminal.run("certificate", *request().names, stdin=document())
    status, out, _ = terminal.run("renew-certificate")
    assert status == 0
    assert f"no certificate for {WWW}" in out


def test_the_journal_gets_each_result_once_although_the_timer_runs_every_five_minutes(
    server: CertificateServer, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
):
    server.error = "down"
    terminal.run("certificate", *request().names, stdin=document())
    monkeypatch.setenv("INVOCATION_ID", "0a1b")
    assert terminal.run("renew-certificate") == (0, "", "")
    server.now += 16 * 60
    status, out, _ = terminal.run("renew-certificate")
    assert (status, len(server.asked)) == (0, 2)
    assert "down" in out
    assert terminal.run("renew-certificate") == (0, "", "")
    monkeypatch.delenv("INVOCATION_ID")
    assert "down" in terminal.run("renew-certificate")[1]
