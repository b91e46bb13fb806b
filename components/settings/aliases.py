"""The setting ``aliases``: further host names of the site."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import cast

from components.settings import validators
from components.settings.declaration import Structured

REDIRECT, SERVE = "redirect", "serve"
CHOICES = (REDIRECT, SERVE)
SET_COMMAND = "pulumi config set --path 'aliases[\"<name>\"]' <redirect or serve>"


def names() -> Structured[dict[str, str]]:
    return Structured(
        type="object",
        rule="a map of host names in lower case, such as shop.example.net, to redirect or serve",
        read=_read,
    )


def conflicts(domain: str | None, aliases: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The mistakes that there is no domain, or that an alias is a name of the domain already."""
    if aliases and domain is None:
        yield (
            ("aliases", "domain"),
            f"aliases has {', '.join(sorted(aliases))}, but domain is empty, so the app answers under any name: set the"
            " site's bare domain with: pulumi config set domain <value>; or remove them with: pulumi config rm aliases",
        )
    for name in aliases:
        if domain and name == domain:
            yield ("aliases", "domain"), f"{_key(name)} is the domain itself; {_removal(name)}"
        if domain and name == f"www.{domain}":
            yield (
                ("aliases", "domain"),
                f"{_key(name)} isn't needed: www. is always redirected to the bare domain; {_removal(name)}",
            )


def _read(value: object) -> tuple[dict[str, str], list[str]]:
    if not isinstance(value, dict):
        return {}, [f"aliases must be a map; set a name with: {SET_COMMAND}"]
    aliases, mistakes = dict[str, str](), list[str]()
    entries = cast(dict[str, object], value)
    for name, choice in entries.items():
        if rule := _broken_name(name, choice, entries):
            mistakes.append(f"{_key(name)}: {rule}; {_removal(name)}")
        elif choice not in CHOICES:
            command = f"pulumi config set --path '{_key(name)}' {REDIRECT}"
            mistakes.append(f"{_key(name)} is {choice!r}, but must be one of: {', '.join(CHOICES)}; set it: {command}")
        else:
            aliases[name] = cast(str, choice)
    return aliases, mistakes


def _broken_name(name: str, choice: object, names: Mapping[str, object]) -> str | None:
    """Why ``name`` can't be an alias; None if it can."""
    if isinstance(choice, dict):
        return f"without quotes around the whole name, Pulumi splits it at its dots: set it with: {SET_COMMAND}"
    usual = name.lower().rstrip(".")
    if usual != name and usual in names:
        return f"it is the same name as {usual}: case and a dot at the end have no meaning in host names"
    if name.startswith("*"):
        return (
            "a wildcard can't be an alias: no certificate for it can be had over HTTP, and names that nobody chose"
            " would be the site's; list each name"
        )
    if not validators.is_host_name(name):
        return "must be a host name in lower case, without a port or a dot at its end, such as shop.example.net"
    return None


def _key(name: str) -> str:
    """The path of an alias in Pulumi's configuration."""
    return f"aliases[{json.dumps(name, ensure_ascii=False)}]"


def _removal(name: str) -> str:
    return f"remove it with: pulumi config rm --path '{_key(name)}'"
