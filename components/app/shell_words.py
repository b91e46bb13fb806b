"""Splits a shell command into its simple commands, by bash's rules, as far as they can be known without running it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

# A part of a word. What is missing here, such as $(command), backticks and ${name:-"default"}, isn't understood.
_PART = re.compile(
    r"""
    '(?P<single>[^']*)'
    | \$'(?P<ansi>(?:\\.|[^'\\])*)'
    | \$?"(?P<double>(?:\\.|[^"\\`$]|\$\{[^{}'"`\\$]*\}|\$(?![({]))*)"
    | (?P<plain>\$\{[^{}'"`\\$]*\}|\$(?![({])|[^\s'"\\`$;|&()<>]+)
    | \\(?P<escaped>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_SPACE = re.compile(r"(?:[ \t\r]|\\\n)+")
_COMMENT = re.compile(r"#[^\n]*")
# A here document (<<) and a process substitution, such as <(command), aren't understood.
_REDIRECTION = re.compile(r"(?:\d*(?:>>|>\||<>|<<<|[<>]&?)|&>>?)(?![<(])")
_OPERATOR = re.compile(r"&&|\|\||;;&?|;&|\|&|[;|&()\n]")
_ENDS = (";", "&", "\n")
# Commands and words of the shell that decide what runs.
_CONDITIONS = ("if", "while", "until", "for", "case", "select", "function", "!", "test", "[", "[[")


@dataclass(frozen=True)
class SimpleCommand:
    """A program with its arguments, without redirections.

    ``depth`` counts the parentheses around it. ``is_needed`` says that the line can't go on if the program is missing.
    """

    words: list[str]
    depth: int
    is_needed: bool


@dataclass(frozen=True)
class _Token:
    kind: Literal["word", "operator", "redirection", "unknown"]
    text: str


def simple_commands(command: str) -> list[SimpleCommand]:
    """The simple commands of a line, up to the first part that isn't understood."""
    tokens = list(_tokens(command))
    found: list[tuple[list[str], int, int]] = []
    words: list[str] = []
    # Lists are separated by ";" and "&". After such a separator the line goes on, whatever failed before.
    depth = number = 0
    uncertain: set[int] = set()
    is_place = False
    for token in [*tokens, _Token("operator", "")]:
        if token.kind == "word":
            words += [] if is_place else [token.text]
        elif token.kind == "operator":
            if words:
                found.append((words, depth, number))
            words = []
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            uncertain |= {number} if token.text == "||" else set()
            number += token.text in _ENDS
        is_place = token.kind == "redirection"
    is_conditional = any(words[0] in _CONDITIONS for words, _, _ in found)
    is_whole = all(token.kind != "unknown" for token in tokens)
    last = max((number for _, _, number in found), default=0)
    return [
        SimpleCommand(
            words, depth, is_needed=number == last and number not in uncertain and is_whole and not is_conditional
        )
        for words, depth, number in found
    ]


def _tokens(command: str) -> Iterator[_Token]:
    position = 0
    while position < len(command):
        if match := _SPACE.match(command, position) or _COMMENT.match(command, position):
            position = match.end()
        elif match := _REDIRECTION.match(command, position):
            yield _Token("redirection", match[0])
            position = match.end()
        elif match := _OPERATOR.match(command, position):
            yield _Token("operator", match[0])
            position = match.end()
        else:
            parts: list[str] = []
            while match := _PART.match(command, position):
                parts.append(_unquoted(match))
                position = match.end()
            if not parts or command[position : position + 1] in ("'", '"', "`", "$", "\\"):
                yield _Token("unknown", command[position:])
                return
            yield _Token("word", "".join(parts))


def _unquoted(match: re.Match[str]) -> str:
    if match["double"] is not None:
        return re.sub(r'\\([$`"\\\n])', r"\1", match["double"])
    if match["ansi"] is not None:
        return re.sub(r"\\(['\"\\?])", r"\1", match["ansi"])
    return match[match.lastgroup or "plain"]
