"""Issues certificates for tests, as an authority with an intermediate certificate does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return key_pem(self.key)


def key_pem(key: Key, passphrase: str = "") -> str:
    protection = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection).decode()


@dataclass(frozen=True)
class Issuer:
    root: Pair
    intermediate: Pair

    @classmethod
    def new(cls) -> Self:
        root = issue("Test Root", is_authority=True)
        return cls(root, issue("Test Intermediate", issuer=root, is_authority=True))

    def issue(self, *names: str, begins: float = -1, ends: float = 60, key: Key | None = None) -> Pair:
        """A certificate whose life begins and ends in so many days."""
        return issue(names[0], names, issuer=self.intermediate, begins=begins, ends=ends, key=key)

    def chain(self, pair: Pair) -> str:
        return pair.pem + self.intermediate.pem


def issue(
    subject: str,
    names: Sequence[str] = (),
    *,
    issuer: Pair | None = None,
    begins: float = -1,
    ends: float = 60,
    key: Key | None = None,
    is_authority: bool = False,
) -> Pair:
    """A certificate of ``issuer``, or one that is issued by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=ends))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if names:
        entries = [x509.DNSName(entry) for entry in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(entries), critical=False)
    if issuer and not is_authority:
        address = x509.UniformResourceIdentifier("http://ca.example.org/intermediate.der")
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, address)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return Pair(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)
