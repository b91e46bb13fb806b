"""The steps of a rollout, defined once. Pure functions.

bootstrap.py and rollout.py turn them into Pulumi resources. aws/rollout_hook.py runs them itself.
An upload of the user deploy waits only for READY. All other steps wait for those before them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_command.remote import Logging

from components.app.source import Release
from components.rollout.login import Logins
from components.server import commands
from components.server.host_program import HostProgram
from components.server.logins import CREATE
from host.paths import Paths


@dataclass(frozen=True, kw_only=True)
class Upload:
    """Copies ``file`` to ``path`` on a server. ``role`` is the last part of the resource's name.

    The user is deploy, or admin for what could make deploy root.
    """

    role: str
    file: Path
    path: str
    as_admin: bool = False


@dataclass(frozen=True, kw_only=True)
class Command:
    """Runs ``text`` on a server. ``logging``: the output streams that `up` shows and an error contains.

    With ``secret_output``, its standard output is a secret.
    """

    role: str
    text: pulumi.Input[str]
    stdin: pulumi.Input[str] | None = None
    logging: Logging = Logging.STDOUT_AND_STDERR
    # Runs again when one of them changes.
    triggers: tuple[pulumi.Input[str], ...] = ()
    as_admin: bool = False
    secret_output: bool = False


Step = Upload | Command


@dataclass(frozen=True, kw_only=True)
class RolloutArgs:
    """What a rollout brings to every server, and in which order several servers get it."""

    logins: Logins
    host_program: HostProgram
    configuration: pulumi.Input[str]
    release: Release
    release_command: str
    # For each of several servers.
    prepare_command: str
    release_input: pulumi.Input[str]  # a secret
    # Whether the first server switches alone, before the others.
    canary: bool = True
    # How many servers switch at a time. None: `rollout.batches` chooses.
    batch: int | None = None
    # Mounts the volume of a single server, whose release is prepared before that. None without a volume.
    mount_command: pulumi.Input[str] | None = None
    volume_id: pulumi.Input[str] | None = None
    # Gives a single server the certificate of the settings, or the one that the state keeps. None without HTTPS.
    give_certificate: Command | None = None
    # Seconds that one server may need for the start, its health checks, the watch and the stop of older processes.
    server_seconds: int = 0


VOLUME, LOGINS = "volume", "logins"
# The first command. Its connection is checked against the host key of the user-data. It prints the server's own host
# key.
READY = Command(role="ready", text=commands.READY, logging=Logging.STDERR)


def bootstrap_steps(
    program: HostProgram,
    configuration: pulumi.Input[str],
    *,
    logins: Logins,
    configure: str = commands.CONFIGURE_AND_CONFIRM,
) -> list[Step]:
    """The steps of the bootstrap after READY: create the login of people, which then uploads the host program.

    The host program applies the configuration.
    """
    return [
        Command(role=LOGINS, text=CREATE, stdin=logins.creation),
        Upload(role="host-program", file=program.file, path=program.path, as_admin=True),
        Command(
            role="configure",
            text=configure.format(host_program=program.path),
            stdin=configuration,
            logging=Logging.NONE,
            as_admin=True,
        ),
    ]


def artifact_steps(release: Release) -> list[Step]:
    """The upload of the tarball; empty if the servers keep the release."""
    if release.tarball is None:
        return []
    return [Upload(role="artifact", file=release.tarball, path=str(Paths().tarball(release.name)))]


def before_release(args: RolloutArgs, *, configure: str = commands.CONFIGURE_AND_CONFIRM) -> list[Step]:
    """The steps of every server after READY and before its release."""
    return [
        *bootstrap_steps(args.host_program, args.configuration, logins=args.logins, configure=configure),
        *([args.give_certificate] if args.give_certificate else []),
        *artifact_steps(args.release),
    ]


def single_server(args: RolloutArgs, *, configure: str = commands.CONFIGURE_AND_CONFIRM) -> list[Step]:
    """All steps of a single server after READY."""
    volume = [mount_volume(args)] if args.mount_command is not None else []
    return [*before_volume(args, configure=configure), *volume, release(args, first=True)]


def before_volume(args: RolloutArgs, *, configure: str = commands.CONFIGURE_AND_CONFIRM) -> list[Step]:
    """The steps of a single server that need no volume. With a volume, that is everything that takes long."""
    prepared = [prepare(args, first=False)] if args.mount_command is not None else []
    return [*before_release(args, configure=configure), *prepared]


def mount_volume(args: RolloutArgs) -> Command:
    """Mounts the volume. The first time on a running server, it also moves the app's data there."""
    assert args.mount_command is not None
    # Another volume may have the same path.
    triggers = () if args.volume_id is None else (args.volume_id,)
    return Command(role=VOLUME, text=args.mount_command, triggers=triggers, as_admin=True)


def prepare(args: RolloutArgs, *, first: bool) -> Command:
    """Installs the release and builds it. On the ``first`` server it also runs the release phase."""
    text = f"{args.prepare_command} --first" if first else args.prepare_command
    return Command(role="prepare", text=text, stdin=args.release_input)


def release(args: RolloutArgs, *, first: bool, migrated: bool = False, probation: int = 0) -> Command:
    """Switches a server to the release.

    The ``first`` server runs cron. It also runs the release phase, unless that has run already (``migrated``).
    The server rolls back by itself after ``probation`` seconds unless the release is confirmed; 0: no probation.
    """
    return Command(
        role="release",
        text=_release_text(args, first=first, migrated=migrated, probation=probation),
        stdin=args.release_input,
    )


def confirm(args: RolloutArgs, *, first: bool, release_output: pulumi.Output[str]) -> Command:
    """Ends the probation: the release command without ``--probation``.

    A server that has rolled back gets the release again. ``release_output`` is what the release command printed. It is
    part of the input, because each run of the release command starts a new probation, which must be confirmed.
    """
    stdin = pulumi.Output.all(args.release_input, release_output).apply(lambda values: commands.confirm_input(*values))
    return Command(
        role="confirm",
        text=_release_text(args, first=first, migrated=True),
        stdin=pulumi.Output.secret(stdin),
    )


def _release_text(args: RolloutArgs, *, first: bool, migrated: bool, probation: int = 0) -> str:
    flags = {"--first": first, "--migrated": first and migrated, f"--probation {probation}": probation > 0}
    return " ".join([args.release_command, *(flag for flag, is_set in flags.items() if is_set)])
