"""The sentences in which an error says what a server serves after a failed release.

`make up` finds them in the error's text.
"""

from __future__ import annotations

import re

ROLLED_BACK = "the server rolled back: the previous release serves again"
NOTHING_BEFORE = "there is no earlier release to roll back to: visitors get 503 with Retry-After"
STUCK = "the previous release doesn't start any more: the new release still serves"
NOTHING_SERVES = "no release serves: visitors get 503 with Retry-After"
_STILL_SERVES = "release {} still serves"
_ALL = re.compile(
    "|".join([*map(re.escape, (ROLLED_BACK, NOTHING_BEFORE, STUCK, NOTHING_SERVES)), _STILL_SERVES.format("[0-9a-f]+")])
)


def still_serves(release: str) -> str:
    """The outcome of a failure before the switch."""
    return _STILL_SERVES.format(release)


def split(error: str) -> tuple[str, str, str]:
    """An error's message with the app's last lines, its outcome and its advice. What is missing is empty."""
    lines = error.strip().splitlines()
    for number, line in enumerate(lines):
        if _ALL.fullmatch(line):
            return "\n".join(lines[:number]), line, "\n".join(lines[number + 1 :])
    return error.strip(), "", ""
