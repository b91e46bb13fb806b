"""The commands that arrive over SSH: one verb each."""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
from typing import Any

from host import balancer, fleet, health, release, serving, web
from host.configure import Configuration, configure
from host.console import say
from host.errors import ReleaseError
from host.paths import Paths


def main(arguments: list[str] | None = None) -> int:
    """Run one command; exit status 0 means that the server is as asked, 1 that it is as it was."""
    options = _parser().parse_args(arguments)
    try:
        options.run(Paths(), options)
    except (ReleaseError, OSError, ValueError, tarfile.TarError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gantry", description="Applies a configuration, switches releases.")
    commands = parser.add_subparsers(required=True)
    added = commands.add_parser("configure", help="apply the files and links given as JSON on standard input")
    added.set_defaults(run=_configure)
    added = commands.add_parser("release", help="serve a release; its variables are JSON on standard input")
    added.set_defaults(run=_release)
    added.add_argument("release", help="the first 12 hex digits of the tarball's SHA-256")
    added.add_argument("--settings", required=True, help="digest of the configuration that it starts with")
    added.add_argument("--health", required=True, help="path that must answer 2xx or 3xx")
    added.add_argument("--host", required=True, help="Host header to ask with")
    added.add_argument("--probation", type=int, default=0, metavar="SECONDS", help="revert unless confirmed until then")
    added = commands.add_parser("prepare", help="do all of a release that takes long and changes nothing for visitors")
    added.set_defaults(run=_prepare)
    added.add_argument("release", help="the first 12 hex digits of the tarball's SHA-256")
    added = commands.add_parser("revert", help="serve what was confirmed last")
    added.set_defaults(run=_revert)
    added = commands.add_parser("drain", help="wait until a balancer's connections to servers are new ones")
    added.set_defaults(run=_drain)
    added = commands.add_parser("resume", help="start what served before the machine was shut down")
    added.set_defaults(run=_resume)
    added = commands.add_parser("status", help="print what serves, as JSON")
    added.set_defaults(run=_status)
    return parser


def _configure(paths: Paths, options: argparse.Namespace) -> None:
    given: dict[str, Any] = json.load(sys.stdin)
    # Contents come as lists of lines, which a preview shows line by line.
    contents = {path: "\n".join(lines) for path, lines in given["files"].items()}
    configure(paths, Configuration(contents, given["links"]))


def _release(paths: Paths, options: argparse.Namespace) -> None:
    given: dict[str, Any] = json.load(sys.stdin)
    instance = web.Instance(options.release, options.settings, given["variables"])
    asked = health.Health(options.health, options.host)
    release.release(paths, release.Request(instance, asked, options.probation))


def _prepare(paths: Paths, options: argparse.Namespace) -> None:
    fleet.prepare(paths, options.release)


def _revert(paths: Paths, options: argparse.Namespace) -> None:
    fleet.revert(paths)


def _drain(paths: Paths, options: argparse.Namespace) -> None:
    balancer.drain()


def _resume(paths: Paths, options: argparse.Namespace) -> None:
    release.resume(paths)


def _status(paths: Paths, options: argparse.Namespace) -> None:
    name, confirmed = serving.current(paths), serving.confirmed(paths)
    known = [folder.name for folder in sorted(paths.releases.glob("[!.]*"), key=lambda f: f.stat().st_mtime)]
    say(json.dumps({
        "release": name and web.release_of(name),
        "instance": name,
        "confirmed": confirmed,
        "active": bool(name) and web.is_active(name),
        "kept": known,
    }, indent=2))  # fmt: skip
