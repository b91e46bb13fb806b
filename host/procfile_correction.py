"""What to write in place of a Procfile's line that isn't ``name: command``."""

from __future__ import annotations

import re
import unicodedata

# Names of processes that every reader knows, so that the word before a command is one of them.
_USUAL_NAMES = ("web", "release", "build", "worker", "beat", "clock", "scheduler", "celery", "bot")
_CONFLICT = re.compile(r"<{7}|={7}$|>{7}|\|{7}")
# An ordinary line in quotes or in a list, or with another sign in place of the colon. With a space in its name, a
# command may look the same: `gunicorn app:app`.
_SIMILAR = re.compile(
    r"(?:[-*+•]\s+|\d+\.\s+)?"
    r"(?P<quote>[\"'`]?)(?P<name>[^\W_][\w./]*(?:-[\w./]+)*)\s*[:=\uff1a]\s*(?P<command>\S.*?)(?P=quote)[,;]?"
)
_WITH_SPACES = re.compile(r"(?P<name>[^\W_][\w./]*(?:[ -][\w./]+)+)\s*[:\uff1a]\s+(?P<command>\S.*)")
_WITHOUT_COLON = re.compile(rf"(?P<name>{'|'.join(_USUAL_NAMES)})\s+(?P<command>[^\s:=].*)", re.IGNORECASE)
_OTHER_COMMENT = re.compile(r"(?://+|;+|--+|/\*+)\s*(?P<text>.*)")
_COMMAND = re.compile(r"(?:\S*/)?(?:gunicorn|uvicorn|python[\d.]*|flask|uwsgi|daphne|hypercorn|waitress-serve)\s")


def correction(line: str, before: str | None) -> str:
    """The remedy for a line, or "" if none is known. ``before`` is the complete line in front of it, or None."""
    visible = "".join(character for character in line if unicodedata.category(character) not in ("Cf", "Cc"))
    if _CONFLICT.match(line):
        return "it is a mark of a merge conflict: resolve the conflict, and delete its marks"
    if match := re.fullmatch(r"([\w-]+)\s*:", visible):
        return f"it has no command: write one after '{match[1]}:', or delete the line"
    if visible.startswith("```"):
        return "delete this line"
    if match := _OTHER_COMMENT.fullmatch(visible):
        return f"write '# {match['text']}' if it is a comment"
    if match := _WITHOUT_COLON.fullmatch(visible):
        return f"write '{match['name'].lower()}: {match['command']}'"
    if match := _SIMILAR.fullmatch(visible) or _WITH_SPACES.fullmatch(visible):
        return f"write '{valid_name(match['name'])}: {match['command']}'"
    if before is not None:
        return f"if it belongs to the line before, write both as one: {before} {line}"
    return f"write 'web: {line}'" if _COMMAND.match(line) else ""


def valid_name(written: str) -> str:
    """A name that a line may have."""
    ascii_name = unicodedata.normalize("NFKD", written).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "-", ascii_name).strip("-") or "worker"
