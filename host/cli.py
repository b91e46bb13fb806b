"""The commands of `gantry` on a server. The operator's computer calls them over SSH."""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import re
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from host import (
    balancing,
    cron,
    history,
    local_balancer,
    lock,
    probation,
    processes,
    program,
    release,
    resume,
    status,
    times,
    unit_commands,
    variables,
    volume,
)
from host.certificates import cli as certificates
from host.configure import Configuration, configure
from host.console import say
from host.deployment import Deployment
from host.errors import ReleaseError
from host.health_check import HealthCheck
from host.paths import Paths

# Earlier names of commands. Timers and connections that an earlier version made on a server still use them.
OLD_NAMES = {"revert": "rollback", "joined": "wait-for-balancer"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit status 0 means that it has succeeded, 1 that the server serves as before.

    Of `check`, 1 means that something is broken.
    """
    # Sudo keeps a stricter mask of the login's, and then the app couldn't read its own folders.
    os.umask(0o022)
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in unit_commands.COMMANDS:
        return unit_commands.main(words)
    words[:1] = [OLD_NAMES.get(name, name) for name in words[:1]]
    options = _parser().parse_args(words)
    try:
        return options.run(Paths(), options) or 0
    except (ReleaseError, OSError, ValueError, tarfile.TarError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gantry",
        description="Configures this server and switches releases.",
        epilog=f"The server's units also call: {', '.join(unit_commands.COMMANDS)}.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[Paths, argparse.Namespace], int | None], help: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help)
        command.set_defaults(run=run)
        return command

    add("configure", _configure, "apply the files and links that standard input lists as JSON")
    _add_release_options(add("release", _release, "serve a release; standard input has its variables as JSON"))
    command = add("prepare", _prepare, "do the long steps of a release, without any effect on visitors")
    _add_deployment_options(command, prepare=True)
    command.add_argument("--without-data", action="store_true", help="create nothing in /var/lib/app")
    command = add("rollback", _rollback, "return to the release before the one that isn't confirmed")
    command.add_argument(
        "--wait", type=float, default=probation.WAIT_SECONDS, help="seconds to wait for a release in progress"
    )
    command = add("mount-volume", _mount_volume, "keep the app's data on a volume; moves the data that is there")
    command.add_argument("source", type=Path, help="the volume's device")
    command.add_argument("--size", type=int, required=True, help="GB that the volume must have")
    command.add_argument("--wait", type=float, default=volume.WAIT_SECONDS, help="seconds to wait for the device")
    _add_stop_option(command)
    command = add("unmount-volume", _unmount_volume, "stop the app and unmount its volume, before it is detached")
    _add_stop_option(command)
    command = add("drain", _drain, "on a balancer: wait until its present connections to servers have ended")
    command.add_argument("--limit", type=float, default=times.REQUEST_SECONDS, help="the longest time, in seconds")
    command = add("wait-for-balancer", _wait_for_balancer, "wait until the balancer has found this server healthy")
    _add_check_options(command)
    command = add("close", _close, "reject requests that don't come from the balancer")
    command.add_argument("--patience", type=float, default=0, help="seconds to wait before an open server is closed")
    add("resume", _resume, "serve again after a boot")
    command = add("check", _check, "find which layer is broken, from the firewall to the app, and why")
    command.add_argument("--repair", action="store_true", help="repair what needs no decision of a person")
    command.add_argument("--json", action="store_true", help="print JSON, for programs")
    command.add_argument("--timeout", type=float, help="seconds for each answer of the app (default: automatic)")
    command = add("update", _update, "install security updates, if this server's slot has begun")
    command.add_argument("--now", action="store_true", help="don't wait for this server's slot")
    command.add_argument("--in-unit", action="store_true", help=argparse.SUPPRESS)
    command.add_argument(
        "--settle", type=float, default=times.SETTLE_SECONDS, help="seconds until a balancer has noticed failed checks"
    )
    certificates.add_commands(add)
    command = add("status", _status, "print what the server serves and keeps, and its last releases")
    command.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser


def _add_deployment_options(command: argparse.ArgumentParser, prepare: bool = False) -> None:
    """The options of `release` and `prepare`. With --settings, `prepare` reads standard input and builds the app."""
    command.add_argument("release", type=_digest, help="first 12 hex digits of the tarball's SHA-256")
    command.add_argument(
        "--settings", required=not prepare, default="", help="digest of the configuration that it starts with"
    )
    command.add_argument(
        "--first", action="store_true", help="run the release phase and cron here; set on one server of a rollout"
    )
    command.add_argument(
        "--process",
        action="append",
        default=[],
        metavar="TYPE=COUNT",
        help="number of processes of a type (default: 1)",
    )
    command.add_argument(
        "--singleton",
        action="append",
        default=[],
        metavar="TYPE",
        help="run one process of a type, on the first server",
    )
    command.add_argument(
        "--link",
        type=_relative_path,
        action="append",
        default=[],
        metavar="PATH",
        help="a path of the app that is a link to /var/lib/app",
    )
    command.add_argument("--link-defaults", action="store_true", help="link Flask's instance folder, too")
    command.add_argument(
        "--cron", action="append", default=[], nargs=2, metavar=("SCHEDULE", "COMMAND"), help="run a command regularly"
    )


# The deploy user chooses these arguments, and this program runs as root.
def _digest(text: str) -> str:
    """The name of a release, which becomes part of paths."""
    if not re.fullmatch("[0-9a-f]{12}", text):
        raise argparse.ArgumentTypeError(f"{text!r} isn't a release, which has 12 hex digits")
    return text


def _relative_path(text: str) -> str:
    """A path below the app's folder."""
    if text.startswith("/") or ".." in text.split("/"):
        raise argparse.ArgumentTypeError(f"{text!r} isn't a path below the app's folder")
    return text


def _add_release_options(command: argparse.ArgumentParser) -> None:
    _add_deployment_options(command)
    command.add_argument("--health", required=True, help="path of the health check")
    command.add_argument("--host", required=True, help="Host header of the health check")
    command.add_argument("--volume", action="store_true", help="fail if the app's data isn't on its volume")
    command.add_argument(
        "--give-volume-up", action="store_true", help="without --volume: go on with an empty folder of the server"
    )
    command.add_argument("--migrated", action="store_true", help="`prepare` has already run the release phase")
    command.add_argument("--expect", type=int, help="status of a healthy app (default: any 2xx or 3xx)")
    command.add_argument("--timeout", type=float, default=30, help="seconds until the app must be healthy")
    command.add_argument("--interval", type=float, help="seconds between two health checks (default: automatic)")
    command.add_argument(
        "--scheme", choices=("http", "https"), default="http", help="what visitors use (default: http)"
    )
    command.add_argument("--watch", type=float, default=10, help="seconds to watch the release after the switch")
    command.add_argument(
        "--probation", type=float, default=0, metavar="SECONDS", help="roll back unless confirmed within this time"
    )
    command.add_argument(
        "--wait", type=float, default=lock.WAIT_SECONDS, help="seconds to wait for another release in progress"
    )


def _add_stop_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--stop", type=float, default=volume.STOP_SECONDS, help="seconds until processes that don't end are killed"
    )


def _add_check_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--from", dest="sources", action="append", required=True, help="address or range of the balancer's checks"
    )
    command.add_argument("--expect", type=int, help="status of a successful check (default: any 2xx or 3xx)")
    command.add_argument("--settle", type=float, required=True, help="seconds to wait after the first successful check")
    command.add_argument("--limit", type=float, required=True, help="seconds until the first successful check")


def _configure(paths: Paths, options: argparse.Namespace) -> None:
    document: dict[str, Any] = json.load(sys.stdin)
    # Contents arrive as lists of lines, because a preview of the stack shows changed lines.
    contents = {path: "\n".join(lines) for path, lines in document["files"].items()}
    if names := document.get("program_files"):
        program_files = json.loads(pkgutil.get_data("host", "program_files.json") or b"{}")
        contents |= {path: program_files[path] for path in names}
    links: dict[str, str] = document["links"]
    program.install(Path(sys.argv[0]), links.get(str(Paths().host_program)), paths)
    configure(paths, Configuration(contents, links))
    # Steps that must run again after each configuration depend on this line, which differs every time.
    say(f"configured at {history.utc_microseconds(time.time())}")


def _release(paths: Paths, options: argparse.Namespace) -> None:
    document: dict[str, Any] = json.load(sys.stdin)
    release_options = release.ReleaseOptions(
        deployment=_deployment(options, document),
        health_check=HealthCheck(
            path=options.health,
            host=options.host,
            timeout=options.timeout,
            status=options.expect,
            interval=options.interval,
            scheme=options.scheme,
        ),
        watch=options.watch,
        probation=options.probation,
        revision=document.get("revision"),
        processes=_plan(options, options.migrated),
        volume=options.volume,
        gives_volume_up=options.give_volume_up,
        wait=options.wait,
    )
    release.release(paths, release_options)


def _deployment(options: argparse.Namespace, document: dict[str, Any]) -> Deployment:
    variables.require_possible(document["variables"])
    return Deployment(
        release=options.release,
        settings=options.settings,
        variables=document["variables"],
        linked=tuple(options.link),
        link_defaults=options.link_defaults,
    )


def _plan(options: argparse.Namespace, migrated: bool = False) -> processes.Plan:
    counts = {name: int(count) for name, _, count in (word.rpartition("=") for word in options.process)}
    entries = tuple(cron.Entry(schedule, command) for schedule, command in options.cron)
    singletons = frozenset(options.singleton)
    return processes.Plan(counts, entries, singletons, first=options.first, migrated=migrated)


def _prepare(paths: Paths, options: argparse.Namespace) -> None:
    preparation = None
    if options.settings:
        document: dict[str, Any] = json.load(sys.stdin)
        deployment = _deployment(options, document)
        preparation = probation.Preparation(
            deployment, _plan(options), document.get("revision"), with_data=not options.without_data
        )
    probation.prepare(paths, options.release, preparation)


def _rollback(paths: Paths, options: argparse.Namespace) -> None:
    probation.rollback(paths, options.wait)


def _mount_volume(paths: Paths, options: argparse.Namespace) -> None:
    volume.mount(paths, options.source, options.size, wait=options.wait, stop_seconds=options.stop)


def _unmount_volume(paths: Paths, options: argparse.Namespace) -> None:
    volume.unmount(paths, options.stop)


def _drain(paths: Paths, options: argparse.Namespace) -> None:
    local_balancer.drain(options.limit)


def _wait_for_balancer(paths: Paths, options: argparse.Namespace) -> None:
    balancing.wait_for_balancer(
        paths, options.sources, expect=options.expect, settle=options.settle, limit=options.limit
    )


def _close(paths: Paths, options: argparse.Namespace) -> None:
    balancing.close(paths, options.patience)


def _resume(paths: Paths, options: argparse.Namespace) -> None:
    resume.resume(paths)


def _update(paths: Paths, options: argparse.Namespace) -> int | None:
    from host import update_unit, updates

    if options.now and not options.in_unit:
        return update_unit.run(options.settle)
    updates.update(paths, at_once=options.now, settle=options.settle)


def _status(paths: Paths, options: argparse.Namespace) -> None:
    report = status.status(paths)
    say(json.dumps(report, indent=2) if options.json else status.text(report))


def _check(paths: Paths, options: argparse.Namespace) -> int:
    from host.layers import check

    return check.run(paths, repair=options.repair, as_json=options.json, seconds=options.timeout)
