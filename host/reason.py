"""The reason of a failed release as one sentence, for the history and for `gantry status`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from host.errors import ReleaseError

# Enough for the longest sentence with its remedy.
MOST_CHARACTERS = 450
# A shorter value of a variable is a word such as "true" or "prod", which may stand in any sentence.
SHORTEST_SECRET = 6
# Variables that Gantry sets. They aren't secret.
OWN_VARIABLES = ("RELEASE", "GANTRY_STACK")
# The last line of a traceback, such as "KeyError: 'X'" or "django.db.utils.OperationalError: no such table".
_EXCEPTION = re.compile(
    r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Failure|Interrupt|Warning|Configured)(?::.*)?"
)
# A line that a program calls an error itself.
_ERROR = re.compile(r"(?:\S+: )?(?:error|fatal|critical): ", re.IGNORECASE)
# The words of the program that waits for the app. If the app has just ended, any line of the app says more.
_OF_WEB = "error: the web process "
_ENDED = re.compile(rf"{_OF_WEB}has ended(?: \([^)]*\))?")
# A line that says something. Brackets, numbers and single letters don't.
_WORDS = re.compile(r"[^\W\d_]{3}")


def reason_of(error: BaseException, variables: Mapping[str, str]) -> str:
    """What failed and why. Values of the ``variables`` are replaced by their names in brackets."""
    message, advice = (error.message, error.advice) if isinstance(error, ReleaseError) else (str(error), "")
    first, *others = [line for line in message.splitlines() if line.strip()] or [type(error).__name__]
    why = advice.replace("\n", " ") or _telling_line(others, needed=first.endswith(":"))
    if why.startswith(_OF_WEB):
        # The program that waits for the app says all of it.
        first, why = why.removeprefix("error: "), ""
    sentence = f"{first.rstrip(': ')}: {why}" if why else first.rstrip(": ")
    return _shortened(without_values(sentence, variables))


def _telling_line(lines: list[str], *, needed: bool) -> str:
    """The last exception in an app's last lines, or else the last error.

    If there is none and one line is ``needed``, the last with a word.
    """
    for number, line in reversed([*enumerate(lines, start=1)]):
        if _EXCEPTION.fullmatch(line):
            # Such as that of Django's checks, below which the first finding says more.
            below = [line.strip() for line in lines[number:] if _WORDS.search(line) and not line.endswith(":")]
            return f"{line} {below[0]}" if line.endswith(":") and below else line
    with_words = [line.strip() for line in lines if _WORDS.search(line)]
    with_words = [line for line in with_words if not _ENDED.fullmatch(line)] or with_words
    if errors := [line for line in with_words if _ERROR.match(line)]:
        return errors[-1]
    return with_words[-1] if needed and with_words else ""


def without_values(text: str, variables: Mapping[str, str]) -> str:
    """The text with the names of variables in brackets in place of their values."""
    values = {value: name for name, value in variables.items() if name not in OWN_VARIABLES}
    # The password of a database's address may stand alone.
    values |= {password: name for value, name in values.items() if (password := _password(value))}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= SHORTEST_SECRET:
            text = text.replace(value, f"[{values[value]}]")
    return text


def _password(value: str) -> str | None:
    try:
        return urlsplit(value).password
    except ValueError:
        return None


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1].rstrip()}…"
