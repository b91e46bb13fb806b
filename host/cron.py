"""Converts schedules to OnCalendar values: cron's five fields, its shortcuts such as @daily, or systemd's own form."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import cast

SHORTCUTS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
RULE = "must be five fields of cron such as '0 3 * * 1-5', @daily, or systemd's such as '*-*-* 03:00'"
# A check of the form only. The server's own systemd checks the values before a release begins.
_CALENDAR = re.compile(
    r"([A-Za-z]{3}[A-Za-z.,]* )?([\d*][\d*/.,~-]* )?[\d*/.,]+:[\d*/.,]+(:[\d*/.,]+)?( [A-Z][\w+-]*(/[\w+-]+)*)?"
)


@dataclass(frozen=True)
class Entry:
    """A command and its schedule."""

    schedule: str
    command: str


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, names=MONTHS),
    _Field("day of the week", 0, 7, names=DAYS),
)


def app_entries(app_json: str) -> list[Entry]:
    """The cron entries of an app.json, in the form that Dokku and others read; raises ValueError."""
    try:
        document: object = json.loads(app_json)
    except ValueError as error:
        raise ValueError(f"app.json is not JSON: {error}") from None
    entries: object = cast(dict[str, object], document).get("cron", []) if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError('app.json must be an object, and its "cron" a list of {"schedule": ..., "command": ...}')
    return [entry(document) for document in cast(list[object], entries)]


def entry(document: object) -> Entry:
    """One entry from parsed JSON; raises ValueError that names the error."""
    fields = cast(dict[str, object], document) if isinstance(document, dict) else {}
    schedule, command = fields.get("schedule"), fields.get("command")
    if not (isinstance(schedule, str) and isinstance(command, str) and command.strip()):
        raise ValueError(f"a cron entry must have a schedule and a command: {json.dumps(document)}")
    if any(character < " " for character in command):
        raise ValueError(f"the cron command {command!r} must be one line")
    calendar(schedule)
    return Entry(" ".join(schedule.split()), command.strip())


def calendar(schedule: str) -> list[str]:
    """The OnCalendar values of a schedule. A timer runs at the times of each value.

    Raises ValueError with the rule for an invalid schedule.
    """
    text = " ".join(schedule.split())
    text = SHORTCUTS.get(text.lower(), text)
    words = text.split()
    if len(words) != len(_FIELDS):
        if _CALENDAR.fullmatch(text):
            return [text]
        raise ValueError(f"the schedule {schedule!r} {RULE}")
    minute, hour, day, month, weekday = (
        _values(word, field, schedule) for word, field in zip(words, _FIELDS, strict=True)
    )
    days = "" if weekday == "*" else ",".join(sorted({_weekday(number) for number in weekday.split(",")}, key=_order))
    time = f"{hour}:{minute}:00"
    by_day, by_weekday = f"*-{month}-{day} {time}", f"{days} *-{month}-* {time}"
    if not days:
        return [by_day]
    # Cron's own rule: if both days are restricted, one of them must match. If one begins with a star, both must match.
    if words[2].startswith("*") or words[4].startswith("*"):
        return [f"{days} {by_day}"]
    return [by_day, by_weekday]


def _values(word: str, field: _Field, schedule: str) -> str:
    """A field as a star or a list of numbers, which mean the same to cron and to systemd."""
    if word == "*":
        return "*"
    numbers: set[int] = set()
    for part in word.split(","):
        body, slash, step = part.partition("/")
        low, dash, high = body.partition("-")
        first = field.low if body == "*" else _number(low, field, schedule)
        last = field.high if body == "*" else _number(high, field, schedule) if dash else first
        every = int(step) if step.isdecimal() else 0 if slash else 1
        if every < 1 or last < first or (slash and not (dash or body == "*")):
            raise ValueError(f"the schedule {schedule!r} has {part!r} as {field.name}; it {RULE}")
        numbers.update(range(first, last + 1, every))
    return ",".join(map(str, sorted(numbers)))


def _number(word: str, field: _Field, schedule: str) -> int:
    if word.lower() in field.names:
        return field.names.index(word.lower()) + field.low
    if word.isdecimal() and field.low <= int(word) <= field.high:
        return int(word)
    raise ValueError(
        f"the schedule {schedule!r} has {word!r} as {field.name}, not {field.low} to {field.high}; it {RULE}"
    )


def _weekday(number: str) -> str:
    return DAYS[int(number) % 7].capitalize()


def _order(day: str) -> int:
    """The position of a day in systemd's week, which begins on Monday."""
    return (DAYS.index(day.lower()) - 1) % 7
