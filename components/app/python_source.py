"""Reads Python source that may be for a newer version of Python than this computer's. Nothing is imported."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

# A line that begins with one of these belongs to the statement before it.
_CONTINUES = re.compile(r"[\s#)\]}]|(?:elif|else|except|finally)\b|$")

_ASSIGNED_CALL = re.compile(r"([A-Za-z_]\w*)\s*(?::[^=]*)?=\s*([A-Za-z_][\w.]*)\(")
_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)
_MAX_REPAIRS = 20


@dataclass(frozen=True)
class Source:
    """The statements of a module that could be read. ``unreadable`` says where and why others couldn't, or is empty."""

    statements: list[ast.stmt]
    unreadable: str = ""


def parse(content: bytes) -> Source:
    """The statements of a module. Those that this computer's Python can't read are left out."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = content.count(b"\n", 0, start) + 1
        return Source([], f"line {line}: {error}")
    if "\0" in text:
        return Source([], "line 1: it has bytes of value 0")
    try:
        return Source(_statements(text))
    except _ERRORS as error:
        return Source(list(_readable(text)), _reason(error))


def _statements(text: str) -> list[ast.stmt]:
    with warnings.catch_warnings():
        # Such as those about invalid escapes, which are for the app's authors.
        warnings.simplefilter("ignore")
        return ast.parse(text).body


def _readable(text: str) -> Iterator[ast.stmt]:
    """The statements at the outermost level that can be read one by one."""
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if not _CONTINUES.match(line)]
    # A decorator belongs to what follows.
    starts = [start for before, start in zip([-1, *starts], starts, strict=False) if not _decorates(lines, before)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield from _repaired(lines[start:end])


def _repaired(lines: list[str]) -> list[ast.stmt]:
    """The statements of some lines. Those lines that can't be read are replaced by neutral ones, if that helps.

    If nothing helps, a call that is assigned to a name is left, without its arguments.
    """
    call = _call(lines[0])
    lines = [*lines]
    for _ in range(_MAX_REPAIRS):
        try:
            return _statements("".join(lines))
        except SyntaxError as error:
            number = (error.lineno or 1) - 1
            if number >= len(lines) or lines[number] == (neutral := _neutral(lines[number])):
                break
            lines[number] = neutral
        except _ERRORS:
            break
    return _statements(call) if call else []


def _neutral(line: str) -> str:
    """A line that leaves the blocks around it as they are."""
    code = line.strip()
    indentation = line[: len(line) - len(line.lstrip())]
    if code.startswith("except"):
        return f"{indentation}except Exception:\n"
    if code.endswith(")") and (call := _call(code)):
        return f"{indentation}{call}\n"
    return f"{indentation}{'if True:' if code.endswith(':') else 'pass'}\n"


def _call(code: str) -> str:
    """``app = FastAPI()`` for a line that begins with such a call."""
    match = _ASSIGNED_CALL.match(code)
    return f"{match[1]} = {match[2]}()" if match else ""


def _decorates(lines: list[str], number: int) -> bool:
    return number >= 0 and lines[number].startswith("@")


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno or 1}: {error.msg}"
    return "an expression is nested too deeply" if isinstance(error, RecursionError | MemoryError) else str(error)
