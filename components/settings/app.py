"""The settings of an app, of its health checks and of its processes. See common.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from components.settings import linked_paths, validators
from components.settings.declaration import setting
from components.settings.env import variables
from components.settings.packages import apt_packages
from components.settings.processes import SINGLETONS, counts, names, schedule
from components.targets import TARGETS
from host import times
from host.cron import Entry
from host.paths import Paths

APP, HEALTH, PROCESSES = "App and release", "Health checks", "Processes"


@dataclass(frozen=True, kw_only=True)
class AppSettings:
    """The first of the common settings."""

    target: str = setting(
        validators.one_of(TARGETS),
        default="local",
        example="aws",
        help="Where the servers run: local (machines on this computer; needs Linux and root), aws or digitalocean.",
        group=APP,
    )
    app: Path = setting(
        validators.folder(),
        default="examples/rocket",
        example="../shop",
        help="Folder of the app, relative to this project. It needs uv.lock, requirements.txt or pyproject.toml.",
        group=APP,
    )
    release: str | None = setting(
        validators.optional(validators.revision()),
        example="v1.2",
        help="What to serve: empty for the app's folder; a branch, tag or commit; or the 12 digits of a kept release.",
        group=APP,
    )
    domain: str | None = setting(
        validators.optional(validators.domain()),
        example="example.org",
        help="The site's bare domain. www.<domain> is redirected to it. Empty serves any name.",
        group=APP,
    )
    env: dict[str, str] = setting(
        variables(),
        default={},
        example={"SECRET_KEY": "5f0c"},
        help="Environment variables of the app. Add --secret to the command for a secret value.",
        group=APP,
        secret="allowed",
        command="pulumi config set --path env.NAME <value>",
    )
    linked_paths: tuple[str, ...] = setting(
        linked_paths.paths(),
        default=[],
        example=["media", "db.sqlite3"],
        help=f"Files and folders of the app that it writes to: they become links to {Paths().app_home}, which stays.",
        group=APP,
        secret="refused",
        command="pulumi config set --path 'linkedPaths[0]' <path>",
    )
    linked_paths_per_server: bool = setting(
        validators.flag(),
        default=False,
        example=True,
        help="Whether each of several servers may have its own files in linkedPaths.",
        group=APP,
    )
    apt_packages: tuple[str, ...] = setting(
        apt_packages(),
        default=[],
        example=["ffmpeg", "libmagic1"],
        help="Debian packages that the app needs besides those of its Aptfile. They stay when the list shrinks.",
        group=APP,
        secret="refused",
        command="pulumi config set --path 'aptPackages[0]' <package>",
    )
    python_mirror: str | None = setting(
        validators.optional(validators.url()),
        example="https://mirror.example.org/python-build-standalone",
        help="Mirror of python-build-standalone, or a .json list for uv, for apps that ask for another Python.",
        group=APP,
        secret="refused",
    )
    maintenance: bool = setting(
        validators.flag(),
        default=False,
        example=True,
        help="Whether visitors get status 503 and the app's maintenance.html, if it has one, instead of the app.",
        group=APP,
    )
    health_path: str = setting(
        validators.path(),
        default="/",
        example="/healthz",
        help="Path of the health check. A release gets traffic only when this path answers.",
        group=HEALTH,
    )
    health_status: int | None = setting(
        validators.status(),
        default=validators.ANY_HEALTHY_STATUS,
        example="204",
        help="The status of a healthy answer: 2xx or 3xx, or one status.",
        group=HEALTH,
    )
    health_timeout: int = setting(
        validators.whole(1, 600),
        default=30,
        example=60,
        help="Seconds that a new release gets to become healthy once it listens.",
        group=HEALTH,
    )
    start_timeout: int = setting(
        validators.whole(1, times.MAX_START_SECONDS),
        default=90,
        example=300,
        help="Seconds that the web process may take until it listens, such as for loading a model.",
        group=HEALTH,
    )
    health_interval: float | None = setting(
        validators.seconds_or_automatic(),
        default="0",
        example="0.5",
        help="Seconds between two health checks, from 0.1 to 60. 0 means 0.25 before the switch and 0.5 in the watch.",
        group=HEALTH,
    )
    watch: int = setting(
        validators.whole(0, 600),
        default=10,
        example=30,
        help="Seconds after the switch in which an unhealthy release is rolled back. 0 turns the watch off.",
        group=HEALTH,
    )
    workers: int | None = setting(
        validators.whole_or_automatic(64),
        default=0,
        example=4,
        help="Gunicorn's worker processes on each server. 0 means one more than the server has processors.",
        group=PROCESSES,
    )
    threads: int = setting(
        validators.whole(1, 64),
        default=4,
        example=8,
        help="Threads of each Gunicorn worker.",
        group=PROCESSES,
    )
    processes: dict[str, int] = setting(
        counts(),
        default={},
        example={"worker": 2},
        help="How many of each other process type of the Procfile run on each server. The default is 1 of each.",
        group=PROCESSES,
        secret="refused",
        command="pulumi config set --path processes.worker <number>",
    )
    singletons: tuple[str, ...] = setting(
        names(),
        default=[*SINGLETONS],
        example=["beat", "ticker"],
        help="Process types of which all servers together run one, on the first server. A list replaces the default.",
        group=PROCESSES,
        secret="refused",
        command="pulumi config set --path 'singletons[0]' <process type>",
    )
    cron: tuple[Entry, ...] = setting(
        schedule(),
        default=[],
        example=[{"schedule": "0 3 * * 1-5", "command": "python cleanup.py"}],
        help="Commands at set times, on one server: a list of maps with schedule and command.",
        group=PROCESSES,
        secret="refused",
        command="pulumi config set --path 'cron[0].schedule' <when>, and likewise 'cron[0].command'",
    )
    release_timeout: int = setting(
        validators.whole(1, times.MAX_COMMAND_SECONDS),
        default=600,
        example=1800,
        help="Seconds that each of the commands build and release in the Procfile may take, before the release fails.",
        group=PROCESSES,
    )
    stop_timeout: int = setting(
        validators.whole(1, 86400),
        default=60,
        example=300,
        help="Seconds that a process other than web gets to finish its job when it is stopped.",
        group=PROCESSES,
    )
