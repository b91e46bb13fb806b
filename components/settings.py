"""The stack's settings: the only reader of pulumi.Config. All mistakes come at once, before anything is touched."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar, cast

import pulumi

from components import clouds, processes, revision, rules, variables
from components.errors import UserError
from components.rules import MOST_SERVERS
from host.cron import Entry

TARGETS = ("local", *clouds.TARGETS)

T = TypeVar("T")


class SettingsError(UserError):
    """All that is wrong with the stack's settings, one line each."""


@dataclass(frozen=True, kw_only=True)
class Settings(clouds.CloudSettings):
    """What the user decided; the help of each key is in Pulumi.yaml."""

    target: str
    app: Path
    release: str | None
    domain: str | None
    health_path: str
    # None stands for any 2xx or 3xx.
    health_status: int | None
    health_timeout: int
    # Seconds; None leaves it to the host program.
    health_interval: float | None
    watch: int
    workers: int | None
    threads: int
    network: str | None
    processes: dict[str, int]
    cron: tuple[Entry, ...]
    release_timeout: int
    stop_timeout: int
    servers: int
    balancer: bool
    canary: bool
    batch: int | None
    maintenance: bool
    # Any value may be a secret.
    env: dict[str, str] = field(repr=False)


# The names of the fields, as Pulumi's keys are spelled.
KEYS = frozenset(re.sub("_(.)", lambda match: match[1].upper(), each.name) for each in fields(Settings))


@dataclass
class _Reader:
    """Reads keys of one kind each and collects what is wrong with them."""

    config: pulumi.Config
    mistakes: list[str] = field(default_factory=list[str])

    def text(self, key: str, rule: Callable[[str], str | None], default: str = "") -> str:
        value = self.config.get(key) or default
        broken = rule(value) if value else None
        if broken:
            # The words of a rule may hold a part of the value.
            secret = pulumi.runtime.is_config_secret(self.config.full_key(key))
            wrong = "[secret], but not what its help in Pulumi.yaml asks for" if secret else f"{value!r}, but {broken}"
            self.mistakes.append(f"{key} is {wrong}; set it with: pulumi config set {key} <value>")
        return value

    def whole(self, key: str, low: int, high: int, default: int) -> int:
        def rule(value: str) -> str | None:
            in_range = value.isdecimal() and low <= int(value) <= high
            return None if in_range else f"must be a whole number from {low} to {high}"

        value = self.text(key, rule, str(default))
        return int(value) if rule(value) is None else default

    def interval(self, key: str) -> float | None:
        """Seconds, or None where it is left open."""
        value = self.text(key, rules.interval, "0")
        return float(value) or None if rules.interval(value) is None else None

    def status(self, key: str) -> int | None:
        """One HTTP status, or None for those that are good by themselves."""
        value = self.text(key, rules.status, rules.GOOD_STATUS)
        return int(value) if value != rules.GOOD_STATUS and rules.status(value) is None else None

    def flag(self, key: str, default: bool = False) -> bool:
        return self.text(key, rules.one_of(("true", "false")), "true" if default else "false") == "true"

    def variables(self, key: str) -> dict[str, str]:
        """A map of variables. Only names are ever shown."""
        try:
            given: object = json.loads(self.config.get(key) or "{}")
        except ValueError:
            given = None
        if not isinstance(given, dict):
            self.mistakes.append(
                f"{key} must be a map; set a variable with: pulumi config set --path {key}.NAME <value>"
            )
            return {}
        found, mistakes = variables.read(key, cast(dict[str, object], given))
        self.mistakes += mistakes
        return found

    def listed(self, key: str, default: str, check: Callable[[object], tuple[T, list[str]]]) -> T:
        """A map or list that is part of command lines, so that it can't be secret."""
        if self._secret(key):
            return check(json.loads(default))[0]
        found, mistakes = check(processes.parse(self.config.get(key) or default))
        self.mistakes += mistakes
        return found

    def plain(self, key: str) -> str | None:
        """A name at the cloud, which can't be secret either."""
        return None if self._secret(key) else self.config.get(key) or None

    def _secret(self, key: str) -> bool:
        """Whether it is secret where it mustn't be, which is a mistake."""
        secret = pulumi.runtime.is_config_secret(self.config.full_key(key))
        if secret:
            self.mistakes.append(
                f"{key} is secret, but previews and logs show it: put secrets into env, and {key} into the settings"
                f" without --secret; remove it with: pulumi config rm {key}"
            )
        return secret

    def cloud(self) -> clouds.CloudSettings:
        """What only a cloud needs."""
        return clouds.CloudSettings(
            region=self.plain("region"),
            size=self.plain("size"),
            ssh_from=self.listed("sshFrom", "[]", clouds.ssh_from),
            protect=self.flag("protect"),
            zone=self.plain("zone"),
            vpc=self.plain("vpc"),
            access_logs=self.flag("accessLogs"),
            backups=self.flag("backups"),
            ssh_key=self.plain("sshKey"),
        )

    def unknown(self) -> None:
        project = self.config.full_key("")
        given = {*pulumi.runtime.config.CONFIG.get(), *pulumi.runtime.config.get_config_env()}
        for key in sorted(name.removeprefix(project) for name in given if name.startswith(project)):
            if key not in KEYS:
                near = difflib.get_close_matches(key, KEYS, 1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                self.mistakes.append(f"{key} is no setting{hint}; remove it with: pulumi config rm {key}")


def read(root: Path, config: pulumi.Config) -> Settings:
    """The settings of the stack that runs; paths are relative to ``root``. Raises SettingsError."""
    reader = _Reader(config)
    app = root / reader.text("app", lambda value: rules.folder(root / value), "examples/rocket")
    release = reader.text("release", rules.revision) or None
    servers = reader.whole("servers", 1, MOST_SERVERS, default=1)
    cloud = reader.cloud()
    settings = Settings(
        **vars(cloud),
        target=reader.text("target", rules.one_of(TARGETS), "local"),
        app=app,
        release=release,
        domain=reader.text("domain", rules.domain) or None,
        health_path=reader.text("healthPath", rules.path, "/"),
        health_status=reader.status("healthStatus"),
        health_timeout=reader.whole("healthTimeout", 1, 600, default=30),
        health_interval=reader.interval("healthInterval"),
        watch=reader.whole("watch", 0, 600, default=10),
        workers=reader.whole("workers", 0, 64, default=0) or None,
        threads=reader.whole("threads", 1, 64, default=4),
        network=reader.text("network", rules.cidr) or None,
        processes=reader.listed("processes", "{}", lambda given: _counts(given, app, release)),
        cron=reader.listed("cron", "[]", processes.entries),
        release_timeout=reader.whole("releaseTimeout", 1, 86400, default=600),
        stop_timeout=reader.whole("stopTimeout", 1, 86400, default=60),
        servers=servers,
        # Several servers need one to spread the requests.
        balancer=reader.flag("balancer") or servers > 1,
        canary=reader.flag("canary", default=True),
        batch=reader.whole("batch", 0, MOST_SERVERS, default=0) or None,
        maintenance=reader.flag("maintenance"),
        env=reader.variables("env"),
    )
    reader.mistakes += rules.room(settings.target, settings.network, servers)
    reader.mistakes += clouds.mistakes(
        settings.target,
        cloud,
        domain=settings.domain,
        network=settings.network,
        balancer=settings.balancer,
        health_status=settings.health_status,
    )
    reader.unknown()
    if reader.mistakes:
        raise SettingsError("the stack's settings can't work:\n" + "\n".join(f"  - {line}" for line in reader.mistakes))
    return settings


def _counts(given: object, app: Path, release: str | None) -> tuple[dict[str, int], list[str]]:
    # Git is asked only by stacks that have set a count.
    return processes.counts(given, revision.procfile(app, release) if given else "")
