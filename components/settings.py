"""The stack's settings: the only reader of pulumi.Config. All mistakes come at once, before anything is touched."""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import cast

import pulumi

from components.errors import UserError

TARGETS = ("local",)
# https://www.rfc-editor.org/rfc/rfc1918#section-3
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
_DOMAIN = re.compile(r"^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$")
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


class SettingsError(UserError):
    """All that is wrong with the stack's settings, one line each."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user decided; the help of each key is in Pulumi.yaml."""

    target: str
    app: Path
    domain: str | None
    health_path: str
    workers: int | None
    threads: int
    network: str | None
    servers: int
    balancer: bool
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

    def flag(self, key: str) -> bool:
        """Whether it is set to true."""
        return self.text(key, _one_of(("true", "false")), "false") == "true"

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
        found = cast(dict[str, object], given)
        for name in found:
            if not _VARIABLE.match(name):
                remedy = f"pulumi config rm --path '{key}[\"{name}\"]'"
                self.mistakes.append(
                    f"{key}.{name}: a variable's name has letters, digits and _; remove it with: {remedy}"
                )
        return {name: _text(value) for name, value in found.items()}

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
    servers = reader.whole("servers", 1, 20, default=1)
    settings = Settings(
        target=reader.text("target", _one_of(TARGETS), "local"),
        app=root / reader.text("app", lambda value: _folder(root / value), "examples/rocket"),
        domain=reader.text("domain", _domain) or None,
        health_path=reader.text("healthPath", _path, "/"),
        workers=reader.whole("workers", 0, 64, default=0) or None,
        threads=reader.whole("threads", 1, 64, default=4),
        network=reader.text("network", _cidr) or None,
        servers=servers,
        # Several servers need one to spread the requests.
        balancer=reader.flag("balancer") or servers > 1,
        batch=reader.whole("batch", 0, 20, default=0) or None,
        maintenance=reader.flag("maintenance"),
        env=reader.variables("env"),
    )
    reader.unknown()
    if reader.mistakes:
        raise SettingsError("the stack's settings can't work:\n" + "\n".join(f"  - {line}" for line in reader.mistakes))
    return settings


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str | None]:
    return lambda value: None if value in choices else f"must be one of: {', '.join(choices)}"


def _folder(path: Path) -> str | None:
    return None if path.is_dir() else f"there is no folder {path}"


def _domain(value: str) -> str | None:
    if value.startswith("www."):
        return f"must be the bare domain ({value[4:]}): www. is redirected to it"
    return None if _DOMAIN.match(value) else "must be a domain in lower case, such as example.org"


def _path(value: str) -> str | None:
    fits = value.startswith("/") and all(33 <= ord(character) < 127 for character in value)
    return None if fits else "must be a path that starts with / and has no spaces, such as /healthz"


def _cidr(value: str) -> str | None:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        return f"must be an IPv4 network such as 10.77.5.0/24 ({error})"
    private = any(network.subnet_of(ipaddress.IPv4Network(each)) for each in PRIVATE)
    return None if private and network.prefixlen <= 28 else f"must be a part of {', '.join(PRIVATE)}, of at least /28"
