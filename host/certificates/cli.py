"""The commands of `gantry` for the certificate."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout

from host.console import say
from host.errors import ReleaseError
from host.paths import Paths

Run = Callable[[Paths, argparse.Namespace], int | None]
Add = Callable[[str, Run, str], argparse.ArgumentParser]
# How long `up` waits for DNS. It may have made the record a moment ago.
DNS_SECONDS = 20.0
# systemd sets this variable for a unit.
_UNIT = "INVOCATION_ID"


def add_commands(add: Add) -> None:
    command = add("certificate", _certificate, "get a certificate; standard input names the authority, as JSON")
    command.add_argument("names", nargs="+", help="the site's names or its address, the site's own first")
    command.add_argument("--wait", type=float, default=DNS_SECONDS, help="seconds to wait for DNS")
    add("restore-certificate", _restore, "serve the kept certificate that standard input has, if there is none yet")
    add("serve-certificate", _serve, "serve the certificate of the settings, which standard input has, as JSON")
    command = add("renew-certificate", _renew, "renew the certificate, or ask for missing names, if that is due")
    command.add_argument("--now", action="store_true", help="ask for what is missing without a pause after a failure")


def _certificate(paths: Paths, options: argparse.Namespace) -> None:
    from host.certificates import obtain
    from host.certificates.record import request_of

    request = request_of({**json.load(sys.stdin), "names": options.names})
    # The program of the stack reads standard output, which has secrets. People see standard error.
    with redirect_stdout(sys.stderr):
        result = obtain.obtain(paths, request, wait=options.wait)
        for line in obtain.lines(paths, result):
            say(line)
        report = obtain.report(paths, result, time.time())
    say(json.dumps(report))


def _restore(paths: Paths, options: argparse.Namespace) -> None:
    from host.certificates import obtain

    kept = json.load(sys.stdin)
    if not kept:
        say("there is no kept certificate yet")
        return
    try:
        say("the kept certificate is served" if obtain.restore(paths, kept) else "this server has a certificate")
    except (ReleaseError, OSError) as error:
        # The release must not fail because of it: `up` asks for a new one.
        say(f"{error}\nthis server asks for a new certificate")


def _serve(paths: Paths, options: argparse.Namespace) -> None:
    from host.certificates import own_certificate

    say(own_certificate.serve(paths, json.load(sys.stdin)))


def _renew(paths: Paths, options: argparse.Namespace) -> int:
    from host.certificates import obtain

    before = obtain.current_record(paths)
    result = obtain.renew(paths, at_once=options.now)
    if result is None:
        say("this site shall have no certificate: the setting tls isn't auto, or `make up` hasn't asked for one yet")
        return 0
    # The unit runs every five minutes. The journal gets each result once, and a missing name isn't a failed unit.
    in_unit = _UNIT in os.environ
    if result != before or not in_unit:
        for line in obtain.lines(paths, result):
            say(line)
    is_missing = result.problem or result.request.essential(result.missing)
    return 1 if is_missing and not in_unit else 0
