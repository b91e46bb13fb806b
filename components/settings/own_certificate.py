"""The certificate of the setting ``tls``: its chain and its key, in PEM, checked before anything is touched.

No error and no warning contains a part of the key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from components.settings import pem
from components.settings.declaration import Structured

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

CERTIFICATE, KEY = "certificate", "key"
SET_CERTIFICATE = "pulumi config set --path tls.certificate < fullchain.pem"
SET_KEY = "pulumi config set --secret --path tls.key < privkey.pem"
REMOVE = "pulumi config rm tls"
# Authorities of today issue for 45 days and more.
WARNING_DAYS = 21
# OpenSSL refuses shorter ones: https://docs.openssl.org/3.5/man3/SSL_CTX_set_security_level/
RSA_BITS = 2048


@dataclass(frozen=True, kw_only=True)
class OwnCertificate:
    """``chain`` begins with the certificate of the site. ``key`` is its private key, without a passphrase.

    ``names`` are in lower case, and may begin with ``*.``.
    """

    chain: str
    key: str = field(repr=False)
    names: frozenset[str]
    begins: datetime
    ends: datetime
    issued_by_itself: bool
    # The authority that issued it says where its own certificate is, and the chain ends without it.
    lacks_issuer: bool

    def covers(self, name: str) -> bool:
        """Whether the certificate is valid for ``name``. A wildcard stands for one part of a name."""
        return name in self.names or f"*.{name.partition('.')[2]}" in self.names


def certificate() -> Structured[OwnCertificate | None]:
    return Structured(
        type="object", rule=f"a map with {CERTIFICATE} and {KEY} in PEM, of which {KEY} is secret", read=_read
    )


def key_in(value: object) -> str:
    """The private key in the decoded value of ``tls``; empty without one."""
    return str(cast(dict[str, object], value).get(KEY) or "") if isinstance(value, dict) else ""


def plain_key() -> str:
    """The mistake that the key isn't secret."""
    return (
        f"tls.{KEY} isn't secret, so Pulumi's settings file has it in plain text: set it with: {SET_KEY}; if that file"
        " was committed, make a new key and let a certificate be issued for it"
    )


def conflicts(
    own: OwnCertificate, domain: str | None, aliases: Collection[str], now: datetime | None = None
) -> Iterator[tuple[tuple[str, ...], str]]:
    """The mistakes that the certificate isn't valid now, or not for the site's names."""
    now = now or datetime.now(UTC)
    if now >= own.ends:
        yield ("tls",), f"tls.{CERTIFICATE} ended on {_time(own.ends)}: set a newer one with: {_set_both()}"
    elif now < own.begins:
        yield (
            ("tls",),
            f"tls.{CERTIFICATE} isn't valid before {_time(own.begins)}: wait until then, or correct this computer's"
            f" clock ({_time(now)})",
        )
    if domain is None:
        yield (
            ("tls", "domain"),
            "tls is a certificate, but domain is empty, so the app answers under any name: set the site's bare domain"
            f" with: pulumi config set domain <value>; or remove the certificate with: {REMOVE}",
        )
        return
    if lacking := [name for name in (domain, *sorted(aliases)) if not own.covers(name)]:
        yield (
            ("tls", "domain", "aliases"),
            f"tls.{CERTIFICATE} is for {_list(own.names)}, but must also be for {', '.join(lacking)}: set one for all"
            f" names of the site with: {_set_both()}",
        )


def warnings(own: OwnCertificate, domain: str | None, now: datetime | None = None) -> Iterator[str]:
    """What is right now, but not for long, or not for all visitors."""
    now = now or datetime.now(UTC)
    left = own.ends - now
    if left < timedelta(days=WARNING_DAYS):
        span = f"{left.days} days" if left.days > 1 else f"{left.total_seconds() / 3600:.0f} hours"
        yield (
            f"tls.{CERTIFICATE} ends in {span}, on {_time(own.ends)}, and Gantry doesn't renew it: set a newer one"
            f" with: {_set_both()}"
        )
    if domain and not own.covers(f"www.{domain}"):
        yield (
            f"tls.{CERTIFICATE} isn't for www.{domain}: browsers show an error for https://www.{domain}/ and never"
            " reach the redirect to the bare domain"
        )
    if own.issued_by_itself:
        yield f"tls.{CERTIFICATE} is issued by itself: browsers show an error unless it is installed there"
    elif own.lacks_issuer:
        yield (
            f"tls.{CERTIFICATE} has only the site's certificate, without that of its issuer: many clients refuse it;"
            " set the whole chain, which authorities often call fullchain.pem"
        )


def _read(value: object) -> tuple[OwnCertificate | None, list[str]]:
    parts = cast(dict[str, object], value)
    mistakes = [
        f"tls.{name} is no part of a certificate; remove it with: pulumi config rm --path 'tls[\"{name}\"]'"
        for name in parts
        if name not in (CERTIFICATE, KEY)
    ]
    for name, command in ((CERTIFICATE, SET_CERTIFICATE), (KEY, SET_KEY)):
        other = KEY if name == CERTIFICATE else CERTIFICATE
        if not parts.get(name):
            mistakes.append(f"tls.{name} is missing, but tls.{other} needs it: set it with: {command}")
        elif not isinstance(parts[name], str):
            mistakes.append(f"tls.{name} isn't text: set it with: {command}")
    if mistakes:
        return None, mistakes
    try:
        return _checked(str(parts[CERTIFICATE]), str(parts[KEY])), []
    except ValueError as error:
        return None, [str(error)]


def _checked(chain_text: str, key: str) -> OwnCertificate:
    """Raises ValueError with the first mistake."""
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    if "PRIVATE KEY-----" in chain_text:
        raise ValueError(
            f"tls.{CERTIFICATE} has a private key, which belongs only into tls.{KEY}: set the certificates alone with:"
            f" {SET_CERTIFICATE}; if Pulumi's settings file was committed, make a new key"
        )
    try:
        chain_text = pem.certificates().parse(chain_text)
        chain = x509.load_pem_x509_certificates(chain_text.encode())
    except ValueError as error:
        raise ValueError(f"tls.{CERTIFICATE} {error}; set it with: {SET_CERTIFICATE}") from None
    key = _require_key(key, chain)
    _require_order(chain)
    names = _names(chain[0])
    for number, certificate in enumerate(chain[1:], 2):
        if certificate.not_valid_after_utc <= datetime.now(UTC):
            raise ValueError(
                f"tls.{CERTIFICATE}: certificate {number} of {len(chain)} ended on"
                f" {_time(certificate.not_valid_after_utc)}: set the authority's newer one with: {SET_CERTIFICATE}"
            )
    first, by_itself = chain[0], chain[0].issuer == chain[0].subject
    try:
        access = first.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        access = ()
    has_issuers = any(entry.access_method == AuthorityInformationAccessOID.CA_ISSUERS for entry in access)
    return OwnCertificate(
        chain=chain_text,
        key=key,
        names=names,
        begins=first.not_valid_before_utc,
        ends=first.not_valid_after_utc,
        issued_by_itself=by_itself,
        lacks_issuer=len(chain) == 1 and has_issuers and not by_itself,
    )


def _names(certificate: Certificate) -> frozenset[str]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise ValueError(
            f"tls.{CERTIFICATE} has no names (subjectAltName), without which browsers refuse it: set another one with:"
            f" {_set_both()}"
        ) from None
    return frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName))


def _require_key(text: str, chain: list[Certificate]) -> str:
    """The key in the usual form. Raises ValueError unless it belongs to the first certificate."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except TypeError:
        raise ValueError(
            f"tls.{KEY} is encrypted with a passphrase, which Nginx doesn't know: set it without one with: openssl pkey"
            f" -in privkey.pem | {SET_KEY.partition(' <')[0]}"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        # The text of these errors may have a part of the key.
        raise ValueError(
            f"tls.{KEY} is no private key in PEM that OpenSSL can read: set the whole file with: {SET_KEY}"
        ) from None
    if isinstance(key, RSAPrivateKey) and key.key_size < RSA_BITS:
        raise ValueError(
            f"tls.{KEY} is an RSA key of {key.key_size} bits, but must have at least {RSA_BITS}: make a new key and let"
            " a certificate be issued for it"
        )
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    own = key.public_key().public_bytes(*form)
    matching = [number for number, one in enumerate(chain, 1) if one.public_key().public_bytes(*form) == own]
    if not matching:
        raise ValueError(
            f"tls.{KEY} doesn't belong to tls.{CERTIFICATE} ({_subject(chain[0])}): set the two of the same request"
            f" with: {_set_both()}"
        )
    if matching[0] != 1:
        raise ValueError(
            f"tls.{CERTIFICATE}: the certificate of tls.{KEY} is number {matching[0]} of {len(chain)}, but must be the"
            f" first, followed by its issuer: change the order in the file, and set it with: {SET_CERTIFICATE}"
        )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _require_order(chain: list[Certificate]) -> None:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    for number, (certificate, issuer) in enumerate(pairwise(chain), 1):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            raise ValueError(
                f"tls.{CERTIFICATE}: certificate {number} of {len(chain)} ({_subject(certificate)}) isn't issued by the"
                f" next one ({_subject(issuer)}), but each must be followed by its issuer: change the order in the"
                f" file, or remove what isn't of the chain, and set it with: {SET_CERTIFICATE}"
            ) from None


def _subject(certificate: Certificate) -> str:
    return certificate.subject.rfc4514_string() or "without a subject"


def _set_both() -> str:
    return f"{SET_CERTIFICATE}; {SET_KEY}"


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "no name"


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
