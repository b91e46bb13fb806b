"""The stack's settings: the only reader of pulumi.Config. All mistakes come at once, before anything is touched."""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar, cast

import pulumi

from components import processes, variables
from components.errors import UserError
from host.cron import Entry

TARGETS = ("local",)
# https://www.rfc-editor.org/rfc/rfc1918#section-3
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
_DOMAIN = re.compile(r"^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$")

# How the default of healthStatus is written.
GOOD_STATUS = "2xx or 3xx"

T = TypeVar("T")


class SettingsError(UserError):
    """All that is wrong with the stack's settings, one line each."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user decided; the help of each key is in Pulumi.yaml."""

    target: str
    app: Path
    release: str | None
    domain: str | None
    health_path: str
    # None stands for any 2xx or 3xx.
    health_status: int | None
    health_timeout: int
    watch: int
    workers: int | None
    threads: int
    network: str | None
    processes: dict[str, int]
    cron: tuple[Entry, ...]
    release_timeout: int
    stop_timeout: int
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
            secret = pulumi.runtime.is_config_secret(self.config.full_key(key))
            shown = "[secret]" if secret else repr(value)
            self.mistakes.append(f"{key} is {shown}, but {broken}; set it with: pulumi config set {key} <value>")
        return value

    def whole(self, key: str, low: int, high: int, default: int) -> int:
        def rule(value: str) -> str | None:
            in_range = value.isdecimal() and low <= int(value) <= high
            return None if in_range else f"must be a whole number from {low} to {high}"

        value = self.text(key, rule, str(default))
        return int(value) if rule(value) is None else default

    def status(self, key: str) -> int | None:
        """One HTTP status, or None for those that are good by themselves."""
        value = self.text(key, _status, GOOD_STATUS)
        return int(value) if value != GOOD_STATUS and _status(value) is None else None

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
        if pulumi.runtime.is_config_secret(self.config.full_key(key)):
            self.mistakes.append(
                f"{key} is secret, but previews and logs show it: put secrets into env, and {key} into the settings"
                f" without --secret; remove it with: pulumi config rm {key}"
            )
            return check(json.loads(default))[0]
        found, mistakes = check(processes.parse(self.config.get(key) or default))
        self.mistakes += mistakes
        return found

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
    app = root / reader.text("app", lambda value: _folder(root / value), "examples/rocket")
    settings = Settings(
        target=reader.text("target", _one_of(TARGETS), "local"),
        app=app,
        release=reader.text("release", _revision) or None,
        domain=reader.text("domain", _domain) or None,
        health_path=reader.text("healthPath", _path, "/"),
        health_status=reader.status("healthStatus"),
        health_timeout=reader.whole("healthTimeout", 1, 600, default=30),
        watch=reader.whole("watch", 0, 600, default=10),
        workers=reader.whole("workers", 0, 64, default=0) or None,
        threads=reader.whole("threads", 1, 64, default=4),
        network=reader.text("network", _cidr) or None,
        processes=reader.listed("processes", "{}", lambda given: processes.counts(given, app)),
        cron=reader.listed("cron", "[]", processes.entries),
        release_timeout=reader.whole("releaseTimeout", 1, 86400, default=600),
        stop_timeout=reader.whole("stopTimeout", 1, 86400, default=60),
        env=reader.variables("env"),
    )
    reader.unknown()
    if reader.mistakes:
        raise SettingsError("the stack's settings can't work:\n" + "\n".join(f"  - {line}" for line in reader.mistakes))
    return settings


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str | None]:
    return lambda value: None if value in choices else f"must be one of: {', '.join(choices)}"


def _folder(path: Path) -> str | None:
    return None if path.is_dir() else f"there is no folder {path}"


def _revision(value: str) -> str | None:
    # As an option, or as the "revision:path" of a file, git would take it for something else.
    odd = value.startswith("-") or any(each in value for each in " \t\n:")
    return "must be a branch, tag or commit of git, or the 12 digits of a release that is kept" if odd else None


def _domain(value: str) -> str | None:
    if value.startswith("www."):
        return f"must be the bare domain ({value[4:]}): www. is redirected to it"
    return None if _DOMAIN.match(value) else "must be a domain in lower case, such as example.org"


def _path(value: str) -> str | None:
    fits = value.startswith("/") and all(33 <= ord(character) < 127 for character in value)
    return None if fits else "must be a path that starts with / and has no spaces, such as /healthz"


def _status(value: str) -> str | None:
    fits = value == GOOD_STATUS or re.fullmatch("[2-5][0-9][0-9]", value)
    return None if fits else f"must be one status, such as 204, or {GOOD_STATUS!r}"


def _cidr(value: str) -> str | None:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        return f"must be an IPv4 network such as 10.77.5.0/24 ({error})"
    private = any(network.subnet_of(ipaddress.IPv4Network(each)) for each in PRIVATE)
    return None if private and network.prefixlen <= 28 else f"must be a part of {', '.join(PRIVATE)}, of at least /28"
