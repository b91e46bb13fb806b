"""The certificate of the settings: this server asks no authority for it, and doesn't renew it."""

from __future__ import annotations

from typing import TypedDict

from host.certificates import issued, obtain, serving
from host.certificates.issued import Issued
from host.lock import exclusive
from host.paths import Paths


class Pair(TypedDict):
    """Both are texts in PEM. ``key`` is a secret."""

    chain: str
    key: str


def serve(paths: Paths, pair: Pair) -> str:
    """Let Nginx serve the certificate, and ask no authority any more. Returns its description for people.

    Raises ReleaseError, and Nginx serves as before, if it refuses the certificate.
    """
    # A renewal that runs now would serve the authority's certificate again.
    with exclusive(paths.certificate_lock, serving.HOLDER, obtain.WAIT_SECONDS):
        with exclusive(paths.lock, serving.HOLDER, serving.LOCK_SECONDS):
            serving.install_pair(paths, pair["chain"].encode(), pair["key"].encode())
        paths.certificate_record.unlink(missing_ok=True)
    certificate = served(paths)
    return obtain.description(certificate) if certificate else ""


def served(paths: Paths) -> Issued | None:
    """The certificate of the settings that the site serves; None if it has none, or one of an authority."""
    if not serving.is_wanted(paths) or obtain.current_record(paths):
        return None
    return issued.read(paths.certificate)
