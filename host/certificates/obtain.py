"""Obtains and renews the certificate. Nothing here stops the site: whatever fails is recorded, and tried again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from host import history
from host.certificates import archive, certbot, issued, reachability, record, serving
from host.certificates.issued import Issued
from host.certificates.record import Record, Request
from host.errors import ReleaseError
from host.lock import exclusive
from host.paths import Paths

HOLDER = "the request for a certificate"
# One run waits for another one, which may ask the authority.
WAIT_SECONDS = certbot.RUN_SECONDS + 60.0
# How often the authority is asked whether the certificate shall be renewed earlier (ARI, RFC 9773), and the same for
# a short certificate as a part of its life.
CHECK_SECONDS, CHECK_PART = 6 * 3600.0, 1 / 20
# After failures, the pauses between requests double. Let's Encrypt allows five failures an hour for a name:
# https://letsencrypt.org/docs/rate-limits/
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 900.0, 12 * 3600.0


def obtain(paths: Paths, request: Request, *, wait: float) -> Record:
    """Get a certificate for all names of ``request`` that lead here, and let Nginx serve it. Returns the result.

    ``wait`` is for DNS, in seconds. The names that are missing, and the authority's error, are in the result.
    """
    with exclusive(paths.certificate_lock, HOLDER, WAIT_SECONDS):
        before = record.read(paths)
        # Another authority, such as a staging one, has issued the certificate that is there.
        anew = before is not None and before.request.directory != request.directory
        return _ask(paths, replace(before or Record(request=request), request=request), wait=wait, anew=anew)


def renew(paths: Paths, now: float | None = None) -> Record | None:
    """Do what is due: renew the certificate, or ask for names that are missing. None without ``tls: auto``."""
    now = time.time() if now is None else now
    with exclusive(paths.certificate_lock, HOLDER, WAIT_SECONDS):
        before = known(paths)
        if before is None:
            return None
        certificate = issued.read(paths.certificate)
        if _is_pausing(before, now) or not _is_due(paths, before, certificate, now):
            return before
        return _ask(paths, before)


def known(paths: Paths) -> Record | None:
    """What the server remembers, while it shall have a certificate."""
    return record.read(paths) if serving.is_wanted(paths) else None


def is_working(paths: Paths, request: Request, now: float) -> bool:
    """Whether visitors of the site's own name get HTTPS."""
    certificate = issued.read(paths.certificate)
    return bool(certificate and request.names[0] in certificate.names and not certificate.has_ended(now))


def report(paths: Paths, result: Record, now: float) -> dict[str, Any]:
    """The result for `up`, as JSON. It has secrets: ``archive``.

    ``stale`` is when this result is out of date: a day after the server should have renewed the certificate, or at once
    if something is missing. ``https`` says whether visitors get HTTPS. Times are seconds since the epoch.
    """
    certificate = issued.read(paths.certificate)
    works = is_working(paths, result.request, now)
    essential = result.request.essential(result.missing)
    return {
        "https": works,
        "names": sorted(certificate.names) if certificate else [],
        "ends": certificate.ends if certificate else 0,
        "stale": _stale(certificate) if certificate and works and not essential else 0,
        "missing": result.missing,
        "problem": result.problem,
        "archive": archive.pack(paths),
    }


def lines(paths: Paths, result: Record) -> list[str]:
    """The result for people."""
    certificate = issued.read(paths.certificate)
    found = list[str]()
    if certificate:
        names = ", ".join(sorted(certificate.names))
        found.append(f"HTTPS for {names} until {history.utc(certificate.ends)}")
    found += [f"no certificate for {name}: {reason}" for name, reason in result.missing.items()]
    if result.problem:
        found.append(f"the last request for a certificate failed: {result.problem}")
    if result.missing or result.problem:
        found.append("this server tries again by itself; to ask at once: sudo gantry renew-certificate --now")
    return found


def _ask(paths: Paths, result: Record, *, wait: float = 0.0, anew: bool = False) -> Record:
    request, now = result.request, time.time()
    certificate = issued.read(paths.certificate)
    served = certificate.names if certificate else frozenset[str]()
    lacking = [name for name in request.names if name not in served]
    missing = reachability.unreachable(paths, request, lacking, wait=wait)
    # A name that is served stays, although it perhaps leads elsewhere at this moment: certbot leaves it out if it must.
    names = [name for name in request.names if name not in missing]
    result = replace(result, missing=missing, checked=now)
    record.write(paths, result)
    if names:
        try:
            certbot.obtain(paths, request, names, anew=anew)
            with exclusive(paths.lock, serving.HOLDER, serving.LOCK_SECONDS):
                serving.install(paths)
        except ReleaseError as error:
            result = result.failed(str(error), now)
        else:
            result = result.succeeded(now)
            result = replace(result, missing={**missing, **_refused(paths, names)})
        record.write(paths, result)
    return result


def _refused(paths: Paths, names: Iterable[str]) -> dict[str, str]:
    """The names that certbot left out because the authority refused them."""
    certificate = issued.read(paths.certificate)
    got = certificate.names if certificate else frozenset[str]()
    log = "sudo tail -n 50 /var/lib/gantry-acme/logs/letsencrypt.log"
    return {name: f"the authority refused it: {log} shows why" for name in names if name not in got}


def _is_pausing(before: Record, now: float) -> bool:
    if not before.failures:
        return False
    pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (before.failures - 1))
    return before.tried <= now < before.tried + pause


def _is_due(paths: Paths, before: Record, certificate: Issued | None, now: float) -> bool:
    if certificate is None or before.problem:
        return True
    if lacking := set(before.request.names) - certificate.names:
        return len(reachability.unreachable(paths, before.request, lacking)) < len(lacking)
    pause = min(CHECK_SECONDS, certificate.lifetime * CHECK_PART)
    return not before.checked <= now < before.checked + pause


def _stale(certificate: Issued) -> float:
    day = min(24 * 3600.0, certificate.lifetime / 10)
    return certificate.renewal + day
