"""Lets Nginx serve a certificate, and take it back if Nginx refuses it."""

from __future__ import annotations

import hashlib
import shutil
import socket
import ssl
import time
from pathlib import Path

from host import commands, files, https_listener, nginx_upgrade, systemd
from host.certificates import certbot, issued
from host.certificates.issued import CHAIN, KEY
from host.errors import ReleaseError
from host.paths import Paths
from host.waiting import wait_until

ADDRESS = ("127.0.0.1", 443)
HANDSHAKE_SECONDS = 5.0
# `nginx -s reload` ends before the new workers accept connections.
RELOAD_SECONDS = 10.0
LOCK_SECONDS = 120.0
HOLDER = "the new certificate"


def is_wanted(paths: Paths) -> bool:
    """Whether the configured site has HTTPS, once there is a certificate."""
    try:
        return str(Paths().https_listener) in paths.site.read_text()
    except FileNotFoundError:
        return False


def install(paths: Paths) -> bool:
    """Let Nginx serve certbot's newest certificate. Returns False if it does already, or if there is none that works.

    The caller holds the server's lock. Raises ReleaseError as ``install_pair`` does.
    """
    source = certbot.live(paths.acme_config)
    certificate = issued.read(source)
    if certificate is None or certificate.has_ended(time.time()):
        return False
    return install_pair(paths, (source / CHAIN).read_bytes(), (source / KEY).read_bytes())


def install_pair(paths: Paths, chain: bytes, key: bytes) -> bool:
    """Let Nginx serve the certificate with this chain and key, in PEM. Returns False if it does already.

    The caller holds the server's lock. Raises ReleaseError, and Nginx serves as before, if it refuses the certificate.
    """
    folder = paths.certificates / hashlib.sha256(chain + key).hexdigest()[:12]
    before = paths.certificate.readlink() if paths.certificate.is_symlink() else None
    # A run that was killed may have written the files without reloading Nginx.
    if before == folder and not _listener_differs(paths, folder) and _shows(_first(chain)):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    paths.certificates.chmod(0o700)
    files.write(folder / CHAIN, chain, 0o644)
    files.write(folder / KEY, key, 0o600)
    try:
        _serve(paths, folder)
        _reload(paths)
        _require_served(_first(chain))
    except (ReleaseError, OSError):
        _serve(paths, before)
        _reload(paths)
        raise
    for old in paths.certificates.iterdir():
        if old != folder:
            shutil.rmtree(old)
    return True


def serve_again(paths: Paths) -> None:
    """Write the part of the site for the present certificate again, and reload Nginx. Raises ReleaseError.

    The caller holds the server's lock.
    """
    _serve(paths, paths.certificate.readlink())
    _reload(paths)


def _serve(paths: Paths, folder: Path | None) -> None:
    if folder is None:
        paths.certificate.unlink(missing_ok=True)
    else:
        files.point(paths.certificate, folder)
    files.write(paths.https_listener, _listener(folder).encode(), 0o644)


def _listener(folder: Path | None) -> str:
    return https_listener.content(issued.read(folder) if folder else None, time.time())


def _listener_differs(paths: Paths, folder: Path) -> bool:
    return not paths.https_listener.is_file() or paths.https_listener.read_text() != _listener(folder)


def _reload(paths: Paths) -> None:
    commands.run(["nginx", "-t", "-q"])
    with nginx_upgrade.lossless_reload(paths):
        systemd.require("reload-or-restart", "nginx")


def _require_served(first: bytes) -> None:
    """Raises ReleaseError unless Nginx shows the certificate ``first``, in DER, on this server."""
    if wait_until(lambda: _shows(first), RELOAD_SECONDS):
        return
    try:
        _shown_certificate()
    except OSError as error:
        raise ReleaseError(f"Nginx doesn't serve HTTPS with the new certificate: {error}") from None
    raise ReleaseError(
        f"port {ADDRESS[1]} has another certificate than the new one: sudo ss -ltnp 'sport = :{ADDRESS[1]}' shows the"
        " program that has the port, and /var/log/nginx/error.log why Nginx didn't get it"
    )


def _shows(first: bytes) -> bool:
    try:
        return _shown_certificate() == first
    except OSError:
        return False


def _first(chain: bytes) -> bytes:
    """The first certificate of the chain, in DER."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    body = chain.decode(errors="replace").partition(begin)[2].partition(end)[0]
    return ssl.PEM_cert_to_DER_cert(f"{begin}{body}{end}\n")


def _shown_certificate() -> bytes:
    context = ssl.create_default_context()
    # The certificate is compared. Perhaps this server doesn't trust its authority.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(ADDRESS, timeout=HANDSHAKE_SECONDS) as connection,
        context.wrap_socket(connection) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""
