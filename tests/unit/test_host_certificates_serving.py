"""Nginx and a new certificate: it is served, or the old one is."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host import files
from host.certificates import certbot, issued, serving
from host.certificates.issued import CHAIN, KEY
from host.errors import ReleaseError
from host.paths import Paths
from tests.unit.certificate_server import DAY, DOMAIN, WWW, names_in, write_certbots


class HttpsServer:
    """Stands for Nginx: it reads the certificate ``delay`` seconds after a reload, as Nginx's new workers do.

    It refuses every certificate for a reason in ``error``, and reads none if it ``ignores`` reloads.
    """

    def __init__(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = paths
        self.delay = 0.0
        self.error = ""
        self.ignores = False
        self.reloads = 0
        self._context: ssl.SSLContext | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()
        monkeypatch.setattr(serving, "ADDRESS", self._listener.getsockname())
        monkeypatch.setattr(serving, "RELOAD_SECONDS", 0.5)
        monkeypatch.setattr(serving, "_reload", self._reload)

    def _reload(self, _paths: Paths) -> None:
        if self.error and self.paths.certificate.exists():
            raise ReleaseError(self.error)
        self.reloads += 1
        if not self.ignores:
            thread = threading.Timer(self.delay, self._read)
            self._threads.append(thread)
            thread.start()

    def _read(self) -> None:
        self._context = None
        if self.paths.certificate.exists():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.paths.certificate / CHAIN, self.paths.certificate / KEY)
            self._context = context

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    if self._context:
                        self._context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    continue

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


@pytest.fixture
def nginx(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    server = HttpsServer(paths, monkeypatch)
    yield server
    server.stop()


def test_the_newest_certificate_is_served_from_a_folder_that_only_root_can_read(paths: Paths, nginx: HttpsServer):
    write_certbots(paths, [DOMAIN])
    assert serving.install(paths)
    assert names_in(paths.certificate) == {DOMAIN}
    assert paths.certificates.stat().st_mode & 0o777 == 0o700
    assert (paths.certificate / KEY).stat().st_mode & 0o777 == 0o600
    assert f'"{DOMAIN}"' in paths.https_listener.read_text()
    assert not serving.install(paths)
    assert nginx.reloads == 1


def test_without_a_certificate_that_works_nothing_changes(paths: Paths, nginx: HttpsServer):
    assert not serving.install(paths)
    write_certbots(paths, [DOMAIN], days=0)
    assert not serving.install(paths)
    write_certbots(paths, [DOMAIN])
    (certbot.live(paths.acme_config) / KEY).unlink()
    assert not serving.install(paths)
    assert nginx.reloads == 0
    assert not paths.https_listener.exists()


def test_a_renewal_replaces_the_folder(paths: Paths, nginx: HttpsServer):
    for version, names in enumerate([[DOMAIN], [DOMAIN, WWW]], 1):
        write_certbots(paths, names, version=version)
        assert serving.install(paths)
        assert names_in(paths.certificate) == set(names)
        assert [paths.certificate.readlink()] == list(paths.certificates.iterdir())
    assert nginx.reloads == 2


def test_nginx_may_need_a_moment_until_it_shows_the_new_certificate(paths: Paths, nginx: HttpsServer):
    for version in (1, 2):
        nginx.delay = 0.3
        write_certbots(paths, [DOMAIN], version=version)
        assert serving.install(paths)


@pytest.mark.parametrize("has_certificate", [False, True])
@pytest.mark.parametrize("fault", ["refuses", "ignores"])
def test_if_nginx_doesnt_take_the_certificate_it_serves_as_before(
    has_certificate: bool, fault: str, paths: Paths, nginx: HttpsServer
):
    if has_certificate:
        write_certbots(paths, [DOMAIN])
        serving.install(paths)
    before = names_in(paths.certificate)
    write_certbots(paths, [DOMAIN, WWW], version=2)
    if fault == "refuses":
        nginx.error = "nginx -t failed: no more than 1 key"
    nginx.ignores = fault == "ignores"
    with pytest.raises(ReleaseError, match=r"no more than 1 key|Nginx|another certificate"):
        serving.install(paths)
    assert names_in(paths.certificate) == before
    assert ("listen 443" in paths.https_listener.read_text()) == has_certificate
    # The next run succeeds.
    nginx.error, nginx.ignores = "", False
    assert serving.install(paths)
    assert names_in(paths.certificate) == {DOMAIN, WWW}


def test_another_program_on_the_port_is_named_as_the_cause(
    paths: Paths, nginx: HttpsServer, monkeypatch: pytest.MonkeyPatch
):
    write_certbots(paths, ["somebody.else"])
    serving.install(paths)
    nginx.ignores = True
    write_certbots(paths, [DOMAIN], version=2)
    with pytest.raises(ReleaseError, match=r"has another certificate than the new one: sudo ss -ltnp"):
        serving.install(paths)


def test_a_port_that_nobody_listens_on_is_named_as_the_cause(
    paths: Paths, nginx: HttpsServer, monkeypatch: pytest.MonkeyPatch
):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setattr(serving, "ADDRESS", closed.getsockname())
    write_certbots(paths, [DOMAIN])
    with pytest.raises(ReleaseError, match=r"Nginx doesn't serve HTTPS with the new certificate: .*refused"):
        serving.install(paths)
    assert nginx.reloads == 2


def test_a_run_that_was_killed_before_nginx_was_reloaded_is_completed_by_the_next(
    paths: Paths, nginx: HttpsServer, monkeypatch: pytest.MonkeyPatch
):
    def die(_paths: Paths) -> None:
        raise KeyboardInterrupt

    write_certbots(paths, [DOMAIN])
    serving.install(paths)
    write_certbots(paths, [DOMAIN], version=2)
    with monkeypatch.context() as patch:
        patch.setattr(serving, "_reload", die)
        with pytest.raises(KeyboardInterrupt):
            serving.install(paths)
    assert serving.install(paths)
    assert nginx.reloads == 2
    assert not serving.install(paths)


def test_a_full_disk_leaves_the_old_certificate(paths: Paths, nginx: HttpsServer, monkeypatch: pytest.MonkeyPatch):
    write_certbots(paths, [DOMAIN])
    serving.install(paths)
    write_certbots(paths, [DOMAIN, WWW], version=2)
    write = files.write
    full = [True]

    def write_unless_full(path: Path, content: bytes, mode: int) -> bool:
        if path == paths.https_listener and full:
            full.clear()
            raise OSError(28, "No space left on device")
        return write(path, content, mode)

    with monkeypatch.context() as patch:
        patch.setattr(serving.files, "write", write_unless_full)
        with pytest.raises(OSError, match="No space"):
            serving.install(paths)
    assert names_in(paths.certificate) == {DOMAIN}
    assert serving.install(paths)
    assert names_in(paths.certificate) == {DOMAIN, WWW}


def test_https_works_only_until_the_certificate_ends(paths: Paths, nginx: HttpsServer, monkeypatch: pytest.MonkeyPatch):
    write_certbots(paths, [DOMAIN])
    serving.install(paths)
    now = time.time() + 91 * DAY
    monkeypatch.setattr(time, "time", lambda: now)
    serving.serve_again(paths)
    assert "listen 443" in paths.https_listener.read_text()
    assert "https_works" not in paths.https_listener.read_text()
    assert nginx.reloads == 2


def test_a_server_has_https_if_its_site_includes_the_part_for_it(paths: Paths):
    assert not serving.is_wanted(paths)
    paths.site.parent.mkdir(parents=True)
    paths.site.write_text("server { }\n")
    assert not serving.is_wanted(paths)
    paths.site.write_text(f"server {{ include {Paths().https_listener}; }}\n")
    assert serving.is_wanted(paths)


def test_the_folders_of_the_certificate_are_kept_apart_from_certbots(paths: Paths, nginx: HttpsServer):
    write_certbots(paths, [DOMAIN])
    serving.install(paths)
    shutil.rmtree(paths.acme_config / "live" / certbot.NAME)
    assert issued.read(paths.certificate)
    assert not serving.install(paths)
    assert names_in(paths.certificate) == {DOMAIN}
