"""Obtains and renews the certificate. Nothing here stops the site: whatever fails is recorded, and tried again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
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
# The pause between two questions to the authority whether to renew earlier (ARI, RFC 9773). A short certificate has a
# shorter pause: this part of its life.
CHECK_SECONDS, CHECK_PART = 6 * 3600.0, 1 / 20
# After failures, the pauses between requests double. Let's Encrypt allows five failures an hour for a name:
# https://letsencrypt.org/docs/rate-limits/
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 900.0, 12 * 3600.0
_MAX_DOUBLINGS = 10
# The pause after the authority has refused a name. Each request gets a certificate for the other names, and Let's
# Encrypt issues only five with the same names in a week.
REFUSED_SECONDS = 48 * 3600.0
_REFUSED = "the authority refused it: sudo tail -n 50 /var/lib/gantry-acme/logs/letsencrypt.log shows why"
UNFINISHED = "it hasn't ended: it was killed, or it runs at this moment"


def obtain(paths: Paths, request: Request, *, wait: float) -> Record:
    """Get a certificate for all names of ``request`` that lead here, and let Nginx serve it. Returns the result.

    ``wait`` is how long to wait for DNS, in seconds. It raises no error: the result has the missing names, and the
    error of the authority or of the lock.
    """
    try:
        with exclusive(paths.certificate_lock, HOLDER, WAIT_SECONDS):
            before = record.read(paths) or Record(request=request)
            refused = before.refused if before.request == request else {}
            return _ask(paths, replace(before, request=request, refused=refused), wait=wait)
    except ReleaseError as error:
        return Record(request=request).failed(str(error), time.time())


def renew(paths: Paths, *, at_once: bool = False) -> Record | None:
    """Do what is due: renew the certificate, or ask for names that are missing. None without ``tls: auto``.

    With ``at_once``, ask without a pause after a failure, and for names that the authority has refused.
    """
    with exclusive(paths.certificate_lock, HOLDER, WAIT_SECONDS):
        before = current_record(paths)
        if before is None:
            return None
        if at_once:
            return _ask(paths, replace(before, refused={}))
        certificate, now = issued.read(paths.certificate), time.time()
        if _is_pausing(before, now) or not _is_due(paths, before, certificate, now):
            return before
        return _ask(paths, before)


def restore(paths: Paths, kept: Mapping[str, Any]) -> bool:
    """Let a server without a certificate serve the kept one. Returns False if it has one.

    Raises ReleaseError, and the site serves as before, if it can't be used.
    """
    with exclusive(paths.certificate_lock, HOLDER, WAIT_SECONDS):
        restored = archive.restore(paths, kept)
        with exclusive(paths.lock, serving.HOLDER, serving.LOCK_SECONDS):
            serving.install(paths)
        return restored


def current_record(paths: Paths) -> Record | None:
    """The record; None if the site has no HTTPS, or if no certificate was asked for."""
    return record.read(paths) if serving.is_wanted(paths) else None


def _is_working(paths: Paths, request: Request, now: float) -> bool:
    """Whether visitors of the site's own name get HTTPS."""
    certificate = issued.read(paths.certificate)
    return bool(certificate and request.names[0] in certificate.names and not certificate.has_ended(now))


def report(paths: Paths, result: Record, now: float) -> dict[str, Any]:
    """The result for `up`, as JSON. It has secrets: ``archive``.

    ``stale`` is when this result is out of date: a day after the server should have renewed the certificate, or at once
    if something is missing or the last request has failed. ``https`` says whether visitors get HTTPS. Times are seconds
    since the epoch.
    """
    certificate = issued.read(paths.certificate)
    works = _is_working(paths, result.request, now)
    complete = works and not result.problem and not result.request.essential(result.missing)
    return {
        "https": works,
        "names": sorted(certificate.names) if certificate else [],
        "ends": certificate.ends if certificate else 0,
        "stale": _stale(certificate) if certificate and complete else 0,
        "missing": result.missing,
        "problem": result.problem,
        "archive": archive.pack(paths),
    }


def lines(paths: Paths, result: Record) -> list[str]:
    """The result for people, one line each for the certificate, for a missing name, for the error and the remedy."""
    certificate = issued.read(paths.certificate)
    texts = [description(certificate)] if certificate else list[str]()
    texts += [f"no certificate for {name}: {reason}" for name, reason in result.missing.items()]
    if result.problem:
        texts.append(f"the last request for a certificate failed: {result.problem}")
    if result.missing or result.problem:
        texts.append("this server tries again by itself; to ask at once: sudo gantry renew-certificate --now")
    return texts


def description(certificate: Issued) -> str:
    """The certificate for people: its names, and when it ends."""
    until = "ended at" if certificate.has_ended(time.time()) else "until"
    return f"HTTPS for {', '.join(sorted(certificate.names))} {until} {history.utc(certificate.ends)}"


def _ask(paths: Paths, before: Record, *, wait: float = 0.0) -> Record:
    request, now = before.request, time.time()
    certificate = issued.read(paths.certificate)
    served = certificate.names if certificate else frozenset[str]()
    refused = _refused(before, now)
    lacking = [name for name in request.names if name not in served and name not in refused]
    missing = reachability.unreachable(paths, request, lacking, wait=wait)
    # A name that is served stays, although it perhaps leads elsewhere at this moment.
    names = [name for name in request.names if name in served or (name in lacking and name not in missing)]
    missing |= {name: _REFUSED for name in refused if name not in served}
    result = replace(before, missing=missing, refused=refused, checked=now)
    if not names:
        record.write(paths, result)
        return result
    # If this run is killed, the next one pauses, too.
    record.write(paths, result.failed(UNFINISHED, now))
    try:
        issued_names = _get(paths, request, names, certificate)
    except (ReleaseError, OSError, subprocess.SubprocessError) as error:
        result = result.failed(str(error), now)
    else:
        left_out = [name for name in names if name not in issued_names]
        result = replace(
            result.succeeded(now),
            missing=missing | dict.fromkeys(left_out, _REFUSED),
            refused=refused | dict.fromkeys(left_out, now),
        )
    record.write(paths, result)
    return result


def _get(paths: Paths, request: Request, names: list[str], before: Issued | None) -> frozenset[str]:
    """Ask for a certificate for ``names``, and let Nginx serve it. Returns its names. Raises ReleaseError."""
    needed = set[str]()
    if before and not before.is_late(time.time()):
        needed = before.names.intersection(names)
    # While the certificate in use is good, a renewal without one of its names would take something away.
    certbot.obtain(paths, request, names, subset=needed != set(names))
    certificate = issued.read(certbot.live(paths.acme_config))
    if certificate is None:
        raise ReleaseError("certbot has no certificate that can be read, or none that is for its key")
    if lost := needed - certificate.names:
        raise ReleaseError(f"the authority refused {', '.join(sorted(lost))}, so the present certificate stays")
    with exclusive(paths.lock, serving.HOLDER, serving.LOCK_SECONDS):
        serving.install(paths)
    return certificate.names


def _refused(before: Record, now: float) -> dict[str, float]:
    """The names that the authority has refused too short a time ago to be asked again."""
    return {name: at for name, at in before.refused.items() if at <= now < at + REFUSED_SECONDS}


def _is_pausing(before: Record, now: float) -> bool:
    if not before.failures:
        return False
    pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(before.failures - 1, _MAX_DOUBLINGS))
    return before.tried <= now < before.tried + pause


def _is_due(paths: Paths, before: Record, certificate: Issued | None, now: float) -> bool:
    if certificate is None or before.problem:
        return True
    lacking = set(before.request.names) - certificate.names - set(_refused(before, now))
    if len(reachability.unreachable(paths, before.request, lacking)) < len(lacking):
        return True
    pause = min(CHECK_SECONDS, certificate.lifetime * CHECK_PART)
    return not before.checked <= now < before.checked + pause


def _stale(certificate: Issued) -> float:
    day = min(24 * 3600.0, certificate.lifetime / 10)
    return certificate.renewal + day
