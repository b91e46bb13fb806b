"""Lets Nginx serve a certificate, and take it back if Nginx refuses it."""

from __future__ import annotations

import hashlib
import shutil
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from host import commands, files, https_listener, nginx_upgrade, systemd
from host.certificates import certbot, issued
from host.certificates.issued import CHAIN, KEY
from host.errors import ReleaseError
from host.paths import Paths

HANDSHAKE_SECONDS = 5.0
LOCK_SECONDS = 120.0
HOLDER = "the new certificate"

Handshake = Callable[[], bytes]


def is_wanted(paths: Paths) -> bool:
    """Whether the configured site has HTTPS, once there is a certificate."""
    try:
        return str(Paths().https_listener) in paths.site.read_text()
    except FileNotFoundError:
        return False


def live(paths: Paths) -> Path:
    """certbot's folder with the newest certificate."""
    return paths.acme_config / "live" / certbot.NAME


def install(paths: Paths) -> bool:
    """Let Nginx serve certbot's newest certificate. Returns False if it did already, or if there is none.

    The caller holds the server's lock. Raises ReleaseError, and Nginx serves as before, if it refuses the certificate.
    """
    source = live(paths)
    try:
        chain, key = (source / CHAIN).read_bytes(), (source / KEY).read_bytes()
    except FileNotFoundError:
        return False
    folder = paths.certificates / hashlib.sha256(chain + key).hexdigest()[:12]
    before = paths.certificate.readlink() if paths.certificate.is_symlink() else None
    if before == folder and not _listener_differs(paths, folder):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    paths.certificates.chmod(0o700)
    files.write(folder / CHAIN, chain, 0o644)
    files.write(folder / KEY, key, 0o600)
    _serve(paths, folder)
    try:
        _reload(paths)
        _require_served(chain)
    except ReleaseError:
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
    certificate = issued.read(folder) if folder else None
    return https_listener.content(certificate.names if certificate else ())


def _listener_differs(paths: Paths, folder: Path) -> bool:
    return not paths.https_listener.is_file() or paths.https_listener.read_text() != _listener(folder)


def _reload(paths: Paths) -> None:
    commands.run(["nginx", "-t", "-q"])
    with nginx_upgrade.lossless_reload(paths):
        systemd.require("reload-or-restart", "nginx")


def _require_served(chain: bytes) -> None:
    """Raises ReleaseError unless Nginx shows the first certificate of ``chain`` on this server."""
    first = ssl.PEM_cert_to_DER_cert(chain.decode().partition("-----END CERTIFICATE-----")[0] + _END)
    try:
        shown = _shown_certificate()
    except OSError as error:
        raise ReleaseError(f"Nginx doesn't serve HTTPS with the new certificate: {error}") from None
    if shown != first:
        raise ReleaseError("Nginx doesn't serve the new certificate: sudo nginx -T shows its configuration")


_END = "-----END CERTIFICATE-----\n"


def _shown_certificate() -> bytes:
    context = ssl.create_default_context()
    # The certificate is compared. Perhaps this server doesn't trust its authority.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", 443), timeout=HANDSHAKE_SECONDS) as connection,
        context.wrap_socket(connection) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""
