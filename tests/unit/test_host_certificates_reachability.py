"""Whether the authority will reach a server under a name."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from host.certificates import certbot, reachability
from host.certificates.reachability import is_address, reason
from host.paths import Paths
from tests.unit.certificate_server import ADDRESS, DOMAIN, request


def test_a_name_with_this_servers_address_leads_here_although_the_server_cant_reach_itself():
    assert reason(DOMAIN, ADDRESS, ["198.51.100.1", ADDRESS], lambda _: False) == ""
    assert reason(DOMAIN, "2001:db8::1", ["2001:db8::1"], lambda _: False) == ""


def test_a_name_behind_a_cdn_leads_here_if_a_challenge_gets_through():
    assert reason(DOMAIN, ADDRESS, ["198.51.100.1"], lambda _: True) == ""


@pytest.mark.parametrize(("address", "kind"), [(ADDRESS, "A"), ("2001:db8::1", "AAAA")])
def test_people_learn_which_record_to_create_or_change(address: str, kind: str):
    record = f"{DOMAIN}. {kind} {address}"
    assert reason(DOMAIN, address, [], lambda _: True).endswith(
        f"DNS doesn't know {DOMAIN}; create the record: {record}"
    )
    text = reason(DOMAIN, address, ["198.51.100.1", "198.51.100.2"], lambda _: False)
    assert "leads to 198.51.100.1, 198.51.100.2 and not to this server" in text
    assert text.endswith(record)


@pytest.mark.parametrize("name", ["nowhere.invalid", "a..example.org", f"{'a' * 64}.example.org"])
def test_a_name_that_cant_be_looked_up_has_no_address(name: str):
    assert reachability.addresses_of(name) == []


def test_addresses_are_no_names():
    assert list(map(is_address, [ADDRESS, "2001:db8::1", DOMAIN, "1.2.3", "localhost"])) == [True, True, *[False] * 3]


@contextmanager
def answering(answer: bytes, seconds: float = 0.0) -> Iterator[str]:
    """A server that sends ``answer`` to everybody. TOKEN in it is the last part of the path."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                token = connection.recv(4096).split(b" ")[1].rpartition(b"/")[2]
                time.sleep(seconds)
                connection.sendall(answer.replace(b"TOKEN", token))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize(
    ("answer", "leads_here"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nTOKEN", True),
        (b"HTTP/1.1 200 OK\r\n\r\nTOKEN and more", False),
        (b"HTTP/1.1 404 Not Found\r\n\r\nTOKEN", False),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/TOKEN\r\n\r\nTOKEN", False),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False),
        (b"HTTP/1.1 two hundred\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nTOK", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense", False),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", False),
        (b"", False),
    ],
)
def test_a_name_leads_here_if_it_answers_with_this_servers_challenge(answer: bytes, leads_here: bool, tmp_path: Path):
    paths = Paths(tmp_path)
    with answering(answer) as name:
        assert reachability._answers(paths, name) == leads_here  # pyright: ignore[reportPrivateUsage]
    assert [path for path in paths.acme.rglob("*") if path.is_file()] == []


def test_a_server_that_is_too_slow_doesnt_lead_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reachability, "ANSWER_SECONDS", 0.05)
    with answering(b"HTTP/1.1 200 OK\r\n\r\nTOKEN", 0.3) as name:
        assert not reachability._answers(Paths(tmp_path), name)  # pyright: ignore[reportPrivateUsage]


def test_nginx_may_read_the_challenges_whatever_the_umask_of_an_admin_is(tmp_path: Path):
    paths, umask = Paths(tmp_path), os.umask(0o077)
    (tmp_path / "var/lib").mkdir(parents=True)
    try:
        folder = reachability.make_challenge_folder(paths)
    finally:
        os.umask(umask)
    assert str(folder.relative_to(paths.acme)) == "challenges/.well-known/acme-challenge"
    folders = [paths.acme, paths.acme_challenges, folder.parent, folder]
    assert [path.stat().st_mode & 0o777 for path in folders] == [0o755] * 4


def test_a_link_that_certbots_user_has_made_changes_no_mode_of_others_files(tmp_path: Path):
    paths, secret = Paths(tmp_path), tmp_path / "root"
    secret.mkdir(mode=0o700)
    paths.acme.mkdir(parents=True)
    paths.acme_challenges.symlink_to(secret)
    with pytest.raises(OSError):
        reachability.make_challenge_folder(paths)
    assert secret.stat().st_mode & 0o777 == 0o700


def test_a_hundred_names_are_looked_up_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    names = [f"{number}.example.org" for number in range(100)]
    running, most, lock = [0], [0], threading.Lock()

    def look_up(name: str) -> list[str]:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        return [] if name == names[7] else [ADDRESS]

    monkeypatch.setattr(reachability, "addresses_of", look_up)
    found = reachability.unreachable(Paths(tmp_path), request(*names), names)
    assert list(found) == [names[7]]
    assert 10 < most[0] <= reachability.NAMES_AT_ONCE


def test_certbots_webroot_is_the_folder_of_these_challenges():
    arguments = certbot.arguments(Paths(), request(), [DOMAIN], subset=True, anew=False)
    assert arguments[arguments.index("--webroot-path") + 1] == str(Paths().acme_challenges)
