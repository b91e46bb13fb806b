"""A server without systemd and Nginx, for tests of its certificate, and real certificates as certbot keeps them."""

from __future__ import annotations

import ipaddress
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host import files
from host.certificates import certbot, issued, obtain, reachability, serving
from host.certificates.issued import CHAIN, KEY
from host.certificates.reachability import is_address
from host.certificates.record import Record, Request
from host.errors import ReleaseError
from host.paths import Paths

DAY = 24 * 3600.0
ADDRESS = "203.0.113.7"
DIRECTORY = "https://ca.example/directory"
DOMAIN, WWW, ALIAS = "example.org", "www.example.org", "shop.example.net"
ALL = (DOMAIN, WWW, ALIAS)
ACCOUNT = "accounts/ca.example/directory/0a1b/private_key.json"
REFUSAL = "  Identifier: {name}\n  Type:   unauthorized\n  Detail: answered 404\n\nSome challenges have failed.\n"


def request(*names: str, directory: str = DIRECTORY) -> Request:
    return Request(names=names or ALL, address=ADDRESS, directory=directory)


def make_certificate(names: Iterable[str], *, days: float = 90, begins: float | None = None) -> tuple[str, str]:
    """A certificate and its key, both in PEM. ``begins`` is now, if it isn't given."""
    key = ec.generate_private_key(ec.SECP256R1())
    begins = time.time() if begins is None else begins
    nobody = x509.Name([])
    general = [x509.IPAddress(ipaddress.ip_address(name)) if is_address(name) else x509.DNSName(name) for name in names]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(nobody)
        .issuer_name(nobody)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(begins, UTC))
        .not_valid_after(datetime.fromtimestamp(begins + days * DAY, UTC))
        .add_extension(x509.SubjectAlternativeName(general), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), private.decode()


def write_certificate(folder: Path, names: Iterable[str], *, days: float = 90, begins: float | None = None) -> None:
    """A folder as Nginx reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in zip((CHAIN, KEY), make_certificate(names, days=days, begins=begins), strict=True):
        (folder / name).write_text(text)


def write_certbots(
    paths: Paths, names: Iterable[str], *, version: int = 1, directory: str = DIRECTORY, days: float = 90
) -> None:
    """certbot's configuration with a new certificate, as certbot 5.8.0 writes it. Earlier versions stay."""
    top = paths.acme_config
    certificate, key = make_certificate(names, days=days)
    contents = {"cert": certificate, "chain": certificate, "fullchain": certificate, "privkey": key}
    for kind, text in contents.items():
        files.write(top / f"archive/gantry/{kind}{version}.pem", text.encode(), 0o600)
        files.point(top / f"live/gantry/{kind}.pem", f"../../archive/gantry/{kind}{version}.pem")
    files.write(top / "live/gantry/README", b"certbot explains its files", 0o644)
    lines = [f"archive_dir = {top}/archive/gantry", "[renewalparams]", "account = 0a1b", f"server = {directory}"]
    files.write(top / "renewal/gantry.conf", "\n".join(lines).encode(), 0o644)
    files.write(top / ACCOUNT, b'{"kty": "RSA", "d": "the account\'s key"}', 0o400)


def names_in(folder: Path) -> set[str]:
    """The names of the certificate in a folder; empty if it has none."""
    certificate = issued.read(folder)
    return set(certificate.names) if certificate else set()


class CertificateServer:
    """Its authority issues what is asked for, but for the names in ``refused``; ``error`` is its only other answer.

    ``asked`` has the arguments of each run of certbot. Names have the addresses in ``dns``. ``nginx_error`` is why
    Nginx refuses its files, and ``shown`` the certificate that it shows, which changes when it is reloaded.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.now = float(int(time.time()))
        self.asked: list[list[str]] = []
        self.refused: set[str] = set()
        self.error = ""
        self.dns: Mapping[str, Sequence[str]] = dict.fromkeys(ALL, (ADDRESS,))
        self.nginx_error = ""
        self.shown = b""
        self.reloads = 0
        self.days = 90.0
        self.paths.site.parent.mkdir(parents=True)
        self.paths.site.write_text(f"include {Paths().https_listener};\n")
        monkeypatch.setattr(time, "time", lambda: self.now)
        monkeypatch.setattr(reachability, "addresses_of", lambda name: list(self.dns.get(name, ())))
        monkeypatch.setattr(certbot, "ensure", lambda _: Path("certbot"))
        monkeypatch.setattr(certbot, "TRUSTED", root / "trusted.pem")
        (root / "trusted.pem").write_text("the usual authorities\n")
        monkeypatch.setattr(certbot.commands, "run", lambda _: None)
        monkeypatch.setattr(files, "give", lambda *_: None)
        monkeypatch.setattr(certbot, "_run", self._certbot)
        monkeypatch.setattr(serving, "_reload", lambda _: self._reload())
        monkeypatch.setattr(serving, "_shown_certificate", lambda: self.shown)
        monkeypatch.setattr(serving, "RELOAD_SECONDS", 0.0)

    @property
    def served(self) -> set[str]:
        return names_in(self.paths.certificate)

    @property
    def listener(self) -> str:
        return self.paths.https_listener.read_text()

    def asked_names(self) -> list[list[str]]:
        """The names in each run of certbot."""
        return [_values(arguments, "--domain", "--ip-address") for arguments in self.asked]

    def _reload(self) -> None:
        if self.nginx_error and self.paths.certificate.exists():
            raise ReleaseError(self.nginx_error)
        self.reloads += 1
        if self.paths.certificate.exists():
            self.shown = serving._first((self.paths.certificate / CHAIN).read_bytes())  # pyright: ignore[reportPrivateUsage]

    def _certbot(self, paths: Paths, command: list[str], _trusted: Path) -> subprocess.CompletedProcess[str]:
        self.asked.append(command[1:])
        names, [directory] = _values(command, "--domain", "--ip-address"), _values(command, "--server")
        refused = self.refused.intersection(names)
        if self.error or (refused and "--allow-subset-of-names" not in command) or refused == set(names):
            text = self.error or "".join(REFUSAL.format(name=name) for name in sorted(refused))
            return subprocess.CompletedProcess(command, 1, text, "")
        present = issued.read(certbot.live(paths.acme_config))
        due = present is None or present.names != set(names) or self.now >= present.renewal
        if due or "--force-renewal" in command:
            versions = len(list(paths.acme_config.glob("archive/gantry/cert*.pem")))
            granted = [name for name in names if name not in refused]
            write_certbots(paths, granted, version=versions + 1, directory=directory, days=self.days)
        return subprocess.CompletedProcess(command, 0, "", "")


def ask(server: CertificateServer, *names: str, directory: str = DIRECTORY) -> Record:
    """What `up` does at its end; by default, for all names."""
    return obtain.obtain(server.paths, request(*names, directory=directory), wait=0)


def renew(server: CertificateServer) -> Record:
    """Runs the timer's command on a server that has asked for a certificate."""
    result = obtain.renew(server.paths)
    assert result
    return result


def _values(command: Sequence[str], *options: str) -> list[str]:
    return [value for option, value in pairwise(command) if option in options]
