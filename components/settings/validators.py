"""Validators of plain values: each has a type, a rule in words and a parser. Pure functions."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection
from pathlib import Path

from components.settings.declaration import Scalar
from host.update_window import SLOT_MINUTES
from host.update_window import parse as parse_window

# https://www.rfc-editor.org/rfc/rfc1918#section-3
PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
# How the default of healthStatus is written.
ANY_HEALTHY_STATUS = "2xx or 3xx"
_DOMAIN = re.compile(r"^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}\Z")


def text(rule: str, fits: Callable[[str], bool]) -> Scalar[str]:
    """A text that is never empty."""

    def parse(value: str) -> str:
        if not fits(value):
            raise ValueError(f"must be {rule}")
        return value

    return Scalar(type="string", rule=rule, parse=parse)


def optional(validator: Scalar[str]) -> Scalar[str | None]:
    """The same, or None if nothing is set."""
    return Scalar(
        type=validator.type,
        rule=f"{validator.rule}, or empty",
        parse=lambda value: validator.parse(value) if value else None,
    )


def matching(pattern: str, rule: str) -> Scalar[str]:
    """A text that matches the regular expression ``pattern`` from its first to its last character."""
    return text(rule, lambda value: re.fullmatch(pattern, value) is not None)


def one_of(choices: Collection[str]) -> Scalar[str]:
    """One of ``choices``. They are looked up at each parse, because a target may be added after this call."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be one of: {', '.join(choices)}")
        return value

    return Scalar(type="string", rule=f"one of: {', '.join(choices)}", parse=parse)


def folder() -> Scalar[Path]:
    """A path; the reader checks that the folder exists, since only it knows the project's root."""
    return Scalar(type="string", rule="the path of a folder", parse=Path)


def whole(low: int, high: int) -> Scalar[int]:
    rule = f"a whole number from {low} to {high}"

    def parse(value: str) -> int:
        if not (value.isdecimal() and low <= int(value) <= high):
            raise ValueError(f"must be {rule}")
        return int(value)

    return Scalar(type="integer", rule=rule, parse=parse)


def whole_or_automatic(high: int) -> Scalar[int | None]:
    """A whole number from 1; 0 is None, which leaves the choice to Gantry."""
    number = whole(0, high)
    return Scalar(type="integer", rule=number.rule, parse=lambda value: number.parse(value) or None)


def gigabytes_or_auto(high: int) -> Scalar[int | None]:
    """A whole number of GB, or None for ``auto``."""
    rule = f"auto, or a whole number from 0 to {high}"

    def parse(value: str) -> int | None:
        if value == "auto":
            return None
        if not (value.isdecimal() and int(value) <= high):
            raise ValueError(f"must be {rule}")
        return int(value)

    return Scalar(type="string", rule=rule, parse=parse)


def update_window() -> Scalar[str | None]:
    """A window as ``host.update_window`` reads it, or None for ``none``."""
    rule = f"none, or a span of at least {SLOT_MINUTES} minutes in UTC, such as 03:00-05:00"

    def parse(value: str) -> str | None:
        if value == "none":
            return None
        try:
            parse_window(value)
        except ValueError:
            raise ValueError(f"must be {rule}") from None
        return value

    return Scalar(type="string", rule=rule, parse=parse)


def flag() -> Scalar[bool]:
    choice = one_of(("true", "false"))
    return Scalar(type="boolean", rule="true or false", parse=lambda value: choice.parse(value) == "true")


def seconds_or_automatic() -> Scalar[float | None]:
    """Seconds with a fraction; 0 is None, which leaves the choice to Gantry."""
    # Pulumi has no type for a number that isn't whole.
    rule = "a number from 0.1 to 60, or 0"

    def parse(value: str) -> float | None:
        fits = re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,3})?", value) and (float(value) == 0 or 0.1 <= float(value) <= 60)
        if not fits:
            raise ValueError(f"must be {rule}")
        return float(value) or None

    return Scalar(type="string", rule=rule, parse=parse)


def revision() -> Scalar[str]:
    """A revision that git can't read as an option, nor as the path of a file (``revision:path``)."""
    return text(
        "a branch, tag or commit of git, or the 12 digits of a kept release",
        lambda value: not value.startswith("-") and not any(character in value for character in " \t\n:"),
    )


def domain() -> Scalar[str]:
    rule = "a domain in lower case, such as example.org"

    def parse(value: str) -> str:
        if value.startswith("www."):
            raise ValueError(f"must be the bare domain ({value[4:]}): www. is redirected to it")
        if not _DOMAIN.match(value):
            raise ValueError(f"must be {rule}")
        return value

    return Scalar(type="string", rule=rule, parse=parse)


def is_host_name(value: str) -> bool:
    """Whether ``value`` is the name of a host with at least two parts, in lower case and without a dot at its end."""
    return _DOMAIN.match(value) is not None and not value.rpartition(".")[2].isdecimal()


def path() -> Scalar[str]:
    return text(
        "a path that starts with / and has no spaces, such as /healthz",
        lambda value: value.startswith("/") and all(33 <= ord(character) < 127 for character in value),
    )


def url() -> Scalar[str]:
    """An address of a web server. Previews show it, so it has no password."""
    return text(
        "a URL that starts with https:// or http://, without a password, such as https://mirror.example.org/python",
        lambda value: re.fullmatch(r"https?://[^\s/@?#]+(/[^\s?#]*)?", value) is not None,
    )


def https_url() -> Scalar[str]:
    """An address whose server shows a certificate. Previews show it, so it has no password."""
    return text(
        "a URL that starts with https://, without a password, such as https://ca.example.org/acme/directory",
        lambda value: re.fullmatch(r"https://[^\s/@?#]+(/[^\s?#]*)?", value) is not None,
    )


def status() -> Scalar[int | None]:
    """One HTTP status; None stands for any 2xx or 3xx."""
    rule = f"one status, such as 204, or {ANY_HEALTHY_STATUS!r}"

    def parse(value: str) -> int | None:
        if value == ANY_HEALTHY_STATUS:
            return None
        if not re.fullmatch("[2-5][0-9][0-9]", value):
            raise ValueError(f"must be {rule}")
        return int(value)

    return Scalar(type="string", rule=rule, parse=parse)


def ids() -> Scalar[tuple[str, ...]]:
    """Ids that a cloud has given, separated by commas."""
    rule = "ids of servers, separated by commas, such as i-0a1b2c3d,i-4e5f6a7b"

    def parse(value: str) -> tuple[str, ...]:
        parts = [part.strip() for part in value.split(",")] if value else []
        if not all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", part) for part in parts):
            raise ValueError(f"must be {rule}")
        return tuple(dict.fromkeys(parts))

    return Scalar(type="string", rule=rule, parse=parse)


def private_network(target: str, *, shortest: int, longest: int) -> Scalar[str]:
    """A private IPv4 range whose prefix has from ``shortest`` to ``longest`` bits."""
    ranges = ", ".join(PRIVATE_RANGES)
    rule = f"a part of {ranges}, of at least /{longest}: from /{shortest} to /{longest} on target {target}"

    def parse(value: str) -> str:
        try:
            network = ipaddress.IPv4Network(value)
        except ValueError as error:
            raise ValueError(f"must be an IPv4 network such as 10.77.5.0/24 ({error})") from None
        private = any(network.subnet_of(ipaddress.IPv4Network(cidr)) for cidr in PRIVATE_RANGES)
        if not private or not shortest <= network.prefixlen <= longest:
            raise ValueError(f"must be {rule}")
        return value

    return Scalar(type="string", rule=rule, parse=parse)
