"""The settings of the site's further names and of HTTPS. See common.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from components.settings import aliases, own_certificate, pem, validators
from components.settings.app import AppSettings
from components.settings.declaration import Either, setting
from components.settings.own_certificate import OwnCertificate

GROUP = "Names and HTTPS"
OFF, AUTO = "off", "auto"
# https://letsencrypt.org/docs/acme-protocol-updates/
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
# https://letsencrypt.org/docs/rate-limits/: names of one certificate
MAX_NAMES = 100


@dataclass(frozen=True, kw_only=True)
class HttpsSettings(AppSettings):
    """The second part of the common settings. The setting ``domain`` is in the first."""

    aliases: dict[str, str] = setting(
        aliases.names(),
        default={},
        example={"shop.example.net": "redirect", "app.example.org": "serve"},
        help="Further host names of the site: redirect sends visitors to domain, with serve the app answers.",
        group=GROUP,
        secret="refused",
        command=aliases.SET_COMMAND,
    )
    tls: str | OwnCertificate | None = setting(
        Either[str | OwnCertificate | None](
            plain=validators.optional(validators.one_of((AUTO, OFF))), map=own_certificate.certificate()
        ),
        example=AUTO,
        help="HTTPS of a single server: auto (from acmeDirectory), off, or your certificate. Unset: auto if it is new.",
        group=GROUP,
        secret="allowed",
    )
    acme_directory: str = setting(
        validators.https_url(),
        default=LETS_ENCRYPT,
        example="https://ca.example.org/acme/acme/directory",
        help="URL of the directory of the ACME authority that issues the certificates.",
        group=GROUP,
        secret="refused",
    )
    acme_root: str | None = setting(
        validators.optional(pem.certificates()),
        example=pem.EXAMPLE,
        help="Root certificates, in PEM, that acmeDirectory's own HTTPS is checked with. Empty means the public ones.",
        group=GROUP,
        secret="refused",
        command="pulumi config set acmeRoot < acmeRoot.pem",
    )
    hsts: bool = setting(
        validators.flag(),
        default=False,
        example=True,
        help="Whether browsers must use HTTPS for two years, also if the site has no HTTPS any more.",
        group=GROUP,
    )

    @property
    def server_has_https(self) -> bool:
        """Whether a server itself serves HTTPS, once it has its certificate."""
        return self.tls not in (None, OFF)

    def conflicts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Mistakes between these settings. The first key of each is the one to sort by."""
        yield from aliases.conflicts(self.domain, self.aliases)
        if isinstance(self.tls, OwnCertificate):
            yield from own_certificate.conflicts(self.tls, self.domain, self.aliases)
        if self.tls != AUTO:
            return
        if len(self.aliases) > MAX_NAMES - 2:
            yield (
                ("tls", "aliases"),
                f"aliases has {len(self.aliases)} names, but must have at most {MAX_NAMES - 2}: one certificate has"
                f" {MAX_NAMES} names, with domain and its www.; remove one with: pulumi config rm --path"
                " 'aliases[\"<name>\"]'",
            )
