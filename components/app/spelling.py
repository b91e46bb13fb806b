"""Characters and variables that look right to a reader, but mean something else to the shell."""

from __future__ import annotations

import re
import unicodedata

# Text in quotes of the shell, and a comment. They may hold any characters.
_HELD = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|(?<!\S)#.*""")
# What a word processor or a web page writes.
_QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2018": "'", "\u2019": "'", "\u201a": "'"})
_DASH = re.compile(r"(?<!\S)[\u2010-\u2015\u2212]+(?=(\w*))")
# Variables as cmd.exe, PowerShell, Make and templates write them.
_VARIABLE = re.compile(
    r"""
    %(?P<cmd>{0})%
    | \$env:(?P<powershell>{0})\b
    | \$\$(?P<make>{0})\b
    | \$\((?P<call>{0})\)
    | \\\$(?P<escaped>{0})\b
    | (?<![$\w-])\{{(?P<format>{0})\}}
    | \$?\{{\{{\s*(?P<template>{0})\s*\}}\}}
    """.format("PORT|GANTRY_SOCKET|WEB_CONCURRENCY"),
    re.VERBOSE,
)


def corrected(command: str) -> str | None:
    """The command as the shell should read it; None if nothing in it looks like something else."""
    parts: list[str] = []
    end = 0
    for match in _HELD.finditer(command):
        parts += [_corrected(command[end : match.start()]), match[0]]
        end = match.end()
    found = "".join([*parts, _corrected(command[end:])])
    return found if found != command else None


def _corrected(text: str) -> str:
    text = _DASH.sub(lambda match: "--" if len(match[1]) > 1 else "-", text.translate(_QUOTES))
    text = _VARIABLE.sub(lambda match: f"${match[match.lastgroup or 0]}", text)
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    """The character, a space for one of another width, or "" for one that nobody sees."""
    category = unicodedata.category(character)
    return " " if category == "Zs" else "" if category == "Cf" else character
