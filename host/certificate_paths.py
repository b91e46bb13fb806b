"""The paths of a server's certificate."""

from __future__ import annotations

from dataclasses import dataclass

from host.configuration_paths import Below, ConfigurationPaths


@dataclass(frozen=True)
class CertificatePaths(ConfigurationPaths):
    """The part of ``host.paths.Paths`` for the certificate, and for certbot, which asks for it."""

    certificate = Below("var/lib/gantry/certificate")
    """The certificate in use: a symbolic link to its folder."""

    certificates = Below("var/lib/gantry/certificates")
    """The folders with certificates and their keys, named by a digest. Only root can read them."""

    certificate_record = Below("var/lib/gantry/certificate.json")
    """The request for the certificate, and the result of the last run, in JSON."""

    certificate_lock = Below("var/lib/gantry/certificate.lock")
    """Held by the one run that may ask the authority."""

    certbot_venvs = Below("opt/gantry/certbot")
    """The virtual environment of certbot, named by a digest of its locked packages."""

    acme = Below("var/lib/gantry-acme")
    """Home of the user that certbot runs as."""

    acme_config = Below("var/lib/gantry-acme/config")
    """certbot's certificates, their keys, and the accounts at authorities."""

    acme_challenges = Below("var/lib/gantry-acme/challenges")
    """Files for the authority. Nginx serves them below /.well-known/acme-challenge/."""
