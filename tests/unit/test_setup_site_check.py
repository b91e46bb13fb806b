"""What `make up` does after a successful `up`: it asks for the site, and lets the servers look for the cause."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tools.setup import site_check
from tools.setup.site_check import Machine, Site, Verdict

SERVER = Machine("dev-0", "10.77.0.2", "ssh-ed25519 key")


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_SECONDS", "REPAIRED_SECONDS", "PAUSE_SECONDS"):
        monkeypatch.setattr(site_check, name, 0.0)


@contextmanager
def answering(*statuses: int) -> Iterator[str]:
    """A site that answers with these statuses, one after the other; yields its URL."""
    remaining = iter(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(remaining) if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def site(url: str, *, status: int | None = None, maintenance: bool = False) -> Site:
    return Site(url, "/healthz", "rocket.test", status, maintenance)


def check(url: str, verdict: Verdict | None = None) -> tuple[bool, str]:
    """The result for a stack with one server, which finds ``verdict``; None: no server may be asked."""

    def machines() -> Sequence[Machine]:
        assert verdict is not None, "a server was asked"
        return [SERVER]

    def look(_: Machine) -> Verdict:
        assert verdict is not None
        return verdict

    answers, lines = site_check.check(site(url), "dev", machines, look)
    return answers, "\n".join(lines)


def test_no_server_is_asked_if_the_site_answers():
    with answering(200) as url:
        assert check(url) == (True, "")


def test_a_repaired_layer_is_named_and_the_command_succeeds():
    with answering(502, 200) as url:
        answers, text = check(url, Verdict(["Nginx: nginx.service is masked"], []))
    assert answers
    assert "dev-0: repaired: Nginx: nginx.service is masked" in text


def test_a_broken_layer_fails_the_command_with_its_name_its_remedy_and_the_next_commands():
    with answering(502, 502) as url:
        answers, text = check(url, Verdict([], ["Nginx: apache2 listens on port 80\n    remedy: stop it"]))
    assert not answers
    assert text.startswith(f"make up failed: the site doesn't answer: GET {url}healthz: it answered 502")
    assert "dev-0: Nginx: apache2 listens on port 80\n    remedy: stop it" in text
    assert "bin/ssh --stack dev dev-0 sudo gantry check" in text
    assert text.endswith("make up")


def test_if_no_layer_of_the_server_is_broken_the_way_to_it_is_named():
    answers, text = check("http://127.0.0.1:1/", Verdict([], []))
    assert not answers
    assert "the connection was refused" in text
    assert "the cause is on the way there" in text


def test_a_name_that_dns_does_not_know_yet_is_a_note_and_no_failure():
    answers, text = check("http://site.invalid/", Verdict([], []))
    assert answers
    assert "site.invalid isn't known to DNS yet" in text


def test_the_status_of_the_settings_and_of_maintenance_counts_as_an_answer():
    with answering(401, 503, 503) as url:
        assert site(url, status=401).fault() is None
        assert site(url, maintenance=True).fault() is None
        assert site(url).fault() is not None


def test_an_older_stack_without_the_output_is_not_asked():
    assert site_check.site_of({"url": "http://10.77.0.2/"}) is None
    found = site_check.site_of({"url": "http://10.77.0.2/", "health": {"path": "/up", "host": None}})
    assert (found and found.host, str(found)) == ("10.77.0.2", "http://10.77.0.2/up")


def test_the_balancer_is_asked_first():
    entries = [{"name": name, "address": "10.77.0.2", "host_key": "key"} for name in ("dev-0", "dev-balancer")]
    found = site_check.machines_of({"servers": entries[:1], "balancer": entries[1]})
    assert [machine.name for machine in found] == ["dev-balancer", "dev-0"]


@pytest.mark.parametrize(
    ("status", "stdout", "stderr", "expected"),
    [
        (
            0,
            '[{"layer": "Nginx", "state": "repaired", "text": "it is masked", "remedy": ""}]',
            "",
            Verdict(["Nginx: it is masked"], []),
        ),
        (
            1,
            '[{"layer": "disk", "state": "broken", "text": "/ is full", "remedy": "delete"}]',
            "",
            Verdict([], ["disk: / is full\n    remedy: delete"]),
        ),
        (
            0,
            '[{"layer": "firewall", "state": "ok", "text": "rules of others drop packets", "remedy": ""}]',
            "",
            Verdict([], ["firewall: rules of others drop packets"]),
        ),
        (
            1,
            "",
            "error: this server is being changed",
            Verdict([], ["`gantry check` failed: error: this server is being changed"]),
        ),
    ],
)
def test_the_report_of_a_server_becomes_what_was_repaired_and_what_is_broken(
    status: int, stdout: str, stderr: str, expected: Verdict
):
    assert site_check.verdict(status, stdout, stderr) == expected


def test_a_server_without_ssh_is_named_with_what_ssh_says():
    found = site_check.verdict(255, "", "ssh: connect to host 10.77.0.2 port 22: Connection refused")
    assert "no SSH connection (ssh: connect to host 10.77.0.2 port 22: Connection refused)" in found.broken[0]
