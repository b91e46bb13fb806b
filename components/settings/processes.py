"""The settings ``processes`` and ``cron``: the processes that run in addition to the web process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from components.settings.declaration import Structured
from host import cron, procfile

MAX_COUNT = 64
# A second one of these would do its jobs twice: Celery's beat, and what Heroku's examples call a clock.
SINGLETONS = ["beat", "clock", "scheduler"]


def counts() -> Structured[dict[str, int]]:
    return Structured(
        type="object",
        rule=f"a map of process types of the Procfile, such as worker, to numbers from 0 to {MAX_COUNT}",
        read=_read_counts,
    )


def schedule() -> Structured[tuple[cron.Entry, ...]]:
    return Structured(type="array", rule="a list of maps, each with a schedule and a command", read=_read_entries)


def names() -> Structured[tuple[str, ...]]:
    return Structured(
        type="array",
        rule="a list of process types of the Procfile, such as beat; it replaces the default",
        read=_read_names,
    )


def conflicts(
    processes: Mapping[str, int], singletons: Sequence[str], procfile_text: str | None
) -> Iterator[tuple[str, str]]:
    """Mistakes between the settings and the app's Procfile, which is None if this computer doesn't have it.

    Each is a key and a sentence.
    """
    for line in undeclared(processes, procfile_text):
        yield "processes", line
    for name in singletons:
        if (count := processes.get(name, 1)) > 1:
            others = [other for other in singletons if other != name]
            yield (
                "processes",
                f"processes.{name} is {count}, but all servers together run one {name}, because singletons has it: keep"
                f" one with `pulumi config rm --path processes.{name}`, or allow several by writing gantry:singletons:"
                f" {json.dumps(others)} into Pulumi.<stack>.yaml",
            )
    types = _types(procfile_text)
    for index, name in enumerate(singletons):
        if types is not None and name not in types and list(singletons) != SINGLETONS:
            yield (
                "singletons",
                f"singletons[{index}] is {name}, but the app's Procfile has {_listed(types)};"
                f" correct it with: pulumi config set --path 'singletons[{index}]' <process type>",
            )


def undeclared(processes: Mapping[str, int], procfile_text: str | None) -> list[str]:
    """A mistake for each counted process type that the Procfile doesn't declare.

    ``procfile_text`` is None if this computer doesn't have the Procfile. Then the server reports types that it lacks.
    """
    types = _types(procfile_text)
    if types is None:
        return []
    return [
        f"processes.{name} counts a process that the app doesn't have: its Procfile has {_listed(types)};"
        f" remove it with: pulumi config rm --path processes.{name}"
        for name in processes
        if name not in types
    ]


def _listed(types: set[str]) -> str:
    return f"only {', '.join(sorted(types))}" if types else "no process of this kind"


def _types(procfile_text: str | None) -> set[str] | None:
    """The process types that run as services; None if the Procfile can't be read: packing then says why."""
    if procfile_text is None:
        return None
    try:
        return set(procfile.services(procfile.processes(procfile_text)))
    except ValueError:
        return None


def _read_counts(value: object) -> tuple[dict[str, int], list[str]]:
    if not isinstance(value, dict):
        return {}, ["processes must be a map; set a count with: pulumi config set --path processes.worker 2"]
    counts, mistakes = dict[str, int](), list[str]()
    for name, count in cast(dict[str, object], value).items():
        if name == "web":
            mistakes.append("processes.web is no setting: how many processes answer requests is the setting workers")
        elif name in procfile.RESERVED:
            mistakes.append(
                f"processes.{name} is no setting: {name} has a meaning of its own in the Procfile, and no count;"
                f" remove it with: pulumi config rm --path processes.{name}"
            )
        elif not str(count).isdecimal() or int(str(count)) > MAX_COUNT:
            mistakes.append(
                f"processes.{name} is {count!r}, but must be a whole number from 0 to {MAX_COUNT};"
                f" set it with: pulumi config set --path processes.{name} <number>"
            )
        else:
            counts[name] = int(str(count))
    return counts, mistakes


def _read_names(value: object) -> tuple[tuple[str, ...], list[str]]:
    if not isinstance(value, list):
        return (), [
            "singletons must be a list; set an entry with: pulumi config set --path 'singletons[0]' <process type>"
        ]
    names, mistakes = list[str](), list[str]()
    for index, name in enumerate(cast(list[object], value)):
        if isinstance(name, str) and procfile.is_service(name):
            names.append(name)
        else:
            mistakes.append(
                f"singletons[{index}] is {name!r}, but must be a process type of the Procfile, such as beat;"
                f" set it with: pulumi config set --path 'singletons[{index}]' <process type>"
            )
    return tuple(names), mistakes


def _read_entries(value: object) -> tuple[tuple[cron.Entry, ...], list[str]]:
    if not isinstance(value, list):
        return (), [
            "cron must be a list; set an entry's parts with: pulumi config set --path 'cron[0].schedule' <when>"
        ]
    entries, mistakes = list[cron.Entry](), list[str]()
    for index, item in enumerate(cast(list[object], value)):
        try:
            entries.append(cron.entry(item))
        except ValueError as error:
            remedy = f"set it with: pulumi config set --path 'cron[{index}].schedule' <when>, or .command"
            mistakes.append(f"cron[{index}]: {error}; {remedy}")
    return tuple(entries), mistakes
