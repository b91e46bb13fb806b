"""The commands that arrive over SSH: one verb each."""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
import time
from collections.abc import Callable
from typing import Any

from host import balancer, cron, fleet, front, health, history, listener, lock, processes, release, status, web
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

    def add(name: str, run: Callable[[Paths, argparse.Namespace], None], help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help)
        added.set_defaults(run=run)
        return added

    add("configure", _configure, "apply the files and links given as JSON on standard input")
    _release_arguments(add("release", _release, "serve a release; its variables are JSON on standard input"))
    added = add("prepare", _prepare, "do all of a release that takes long and changes nothing for visitors")
    _instance_arguments(added, prepared=True)
    added = add("revert", _revert, "serve what served before a release that isn't confirmed")
    added.add_argument("--wait", type=float, default=fleet.WAIT_SECONDS, help="seconds for a release that goes on here")
    added = add("listening", _listening, "wait until a web process that isn't Gunicorn listens")
    added.add_argument("instance")
    added.add_argument("process", type=int)
    added = add("idle", _idle, "wait until a web process that isn't Gunicorn has answered everybody")
    added.add_argument("instance")
    add("drain", _drain, "wait until a balancer's connections to servers are new ones")
    added = add("joined", _joined, "wait until the balancer must have found this server healthy")
    added.add_argument("--from", dest="sources", action="append", required=True, help="where its checks come from")
    added.add_argument("--expect", type=int, help="the status that is well (default: any 2xx or 3xx)")
    added.add_argument("--settle", type=float, required=True, help="seconds from the first good check")
    added.add_argument("--limit", type=float, required=True, help="seconds until that must have come")
    added = add("close", _close, "let only the balancer ask for pages")
    added.add_argument("--patience", type=float, default=0, help="seconds to wait where the server is open")
    add("resume", _resume, "start what served before the machine was shut down")
    added = add("status", _status, "print what serves, what is kept, and the last releases")
    added.add_argument("--json", action="store_true", help="for programs")
    return parser


def _instance_arguments(added: argparse.ArgumentParser, prepared: bool = False) -> None:
    """What runs, and beside it. Where it is only ``prepared``, nothing runs on servers but the first."""
    added.add_argument("release", help="the first 12 hex digits of the tarball's SHA-256")
    added.add_argument(
        "--settings", required=not prepared, default="", help="digest of the configuration that it starts with"
    )
    added.add_argument(
        "--first", action="store_true", help="run the release process and cron here: on one server of a rollout"
    )
    added.add_argument(
        "--process", action="append", default=[], metavar="TYPE=COUNT", help="how many of a type, instead of 1"
    )
    added.add_argument(
        "--cron", action="append", default=[], nargs=2, metavar=("SCHEDULE", "COMMAND"), help="run it at these times"
    )


def _release_arguments(added: argparse.ArgumentParser) -> None:
    _instance_arguments(added)
    added.add_argument("--health", required=True, help="path that must answer")
    added.add_argument("--host", required=True, help="Host header to ask with")
    added.add_argument("--migrated", action="store_true", help="the release process has run in the preparation")
    added.add_argument("--expect", type=int, help="the status to answer with (default: any 2xx or 3xx)")
    added.add_argument("--timeout", type=float, default=30, help="seconds until it must have answered so")
    added.add_argument("--interval", type=float, help="seconds between two questions (default: what suits)")
    added.add_argument("--watch", type=float, default=10, help="seconds that it is watched for after the switch")
    added.add_argument(
        "--probation", type=float, default=0, metavar="SECONDS", help="revert unless confirmed until then"
    )
    added.add_argument("--wait", type=float, default=lock.WAIT_SECONDS, help="seconds for another release here")


def _configure(paths: Paths, options: argparse.Namespace) -> None:
    given: dict[str, Any] = json.load(sys.stdin)
    # Contents come as lists of lines, which a preview shows line by line.
    contents = {path: "\n".join(lines) for path, lines in given["files"].items()}
    configure(paths, Configuration(contents, given["links"]))
    # What is due after each run of this tells them apart by it.
    say(f"configured at {history.precisely(time.time())}")


def _release(paths: Paths, options: argparse.Namespace) -> None:
    given: dict[str, Any] = json.load(sys.stdin)
    instance = web.Instance(options.release, options.settings, given["variables"])
    asked = health.Health(options.health, options.host, options.timeout, options.expect, options.interval)
    told = options.watch, options.probation, given.get("revision")
    request = release.Request(instance, asked, *told, _plan(options, options.migrated), options.wait)
    release.release(paths, request)


def _plan(options: argparse.Namespace, migrated: bool = False) -> processes.Plan:
    counts = {name: int(count) for name, _, count in (given.rpartition("=") for given in options.process)}
    entries = tuple(cron.Entry(schedule, command) for schedule, command in options.cron)
    return processes.Plan(counts, entries, options.first, migrated)


def _prepare(paths: Paths, options: argparse.Namespace) -> None:
    first = None
    if options.first:
        given: dict[str, Any] = json.load(sys.stdin)
        instance = web.Instance(options.release, options.settings, given["variables"])
        first = fleet.First(instance, _plan(options), given.get("revision"))
    fleet.prepare(paths, options.release, first)


def _revert(paths: Paths, options: argparse.Namespace) -> None:
    fleet.revert(paths, options.wait)


def _listening(paths: Paths, options: argparse.Namespace) -> None:
    listener.wait_until_it_listens(paths, options.instance, options.process)


def _idle(paths: Paths, options: argparse.Namespace) -> None:
    listener.wait_until_it_is_idle(paths, options.instance)


def _drain(paths: Paths, options: argparse.Namespace) -> None:
    balancer.drain()


def _joined(paths: Paths, options: argparse.Namespace) -> None:
    front.wait_until_found(paths, options.sources, expect=options.expect, settle=options.settle, limit=options.limit)


def _close(paths: Paths, options: argparse.Namespace) -> None:
    front.close(paths, options.patience)


def _resume(paths: Paths, options: argparse.Namespace) -> None:
    release.resume(paths)


def _status(paths: Paths, options: argparse.Namespace) -> None:
    found = status.status(paths)
    say(json.dumps(found, indent=2) if options.json else status.text(found))
