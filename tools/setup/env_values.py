"""Keeps the app's variables as they were typed.

Inside a map, the engine stores +15551234567 as the number 15551234567, and rounds numbers of 19 digits. With a type,
and as a secret, a value stays text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tools.setup import arguments

AS_TEXT = "--type=string"
# A path below the setting env: env.NAME, env["NAME"] or ["env"].NAME. The project's name may be in front.
_BELOW_ENV = re.compile(r'(gantry:)?(env|\["env"\])[.\[]')
_NUMBER = re.compile(r"[+-]?[0-9]+")
_PAIRS = ("--plaintext", "--secret")


def commands(words: Sequence[str]) -> list[list[str]]:
    """The command lines to run, in this order, in place of ``pulumi <words>``. Only `config set` of ``env`` differs."""
    positions = arguments.positions(words)
    command = [words[position] for position in positions[:2]]
    if command == ["config", "set"] and len(positions) > 2:
        return [_set(words, positions)]
    if command == ["config", "set-all"] and _has(words, "--path"):
        return _set_all(words, positions[1])
    return [list(words)]


def _set(words: Sequence[str], positions: list[int]) -> list[str]:
    _, set_position, *key_and_value = positions
    key, *value = (words[position] for position in key_and_value)
    if not _has(words, "--path") or not _BELOW_ENV.match(key) or _has(words, "--type") or _has(words, "--secret"):
        return list(words)
    typed = [*words[: set_position + 1], AS_TEXT, *words[set_position + 1 :]]
    if not _has(words, "--plaintext"):
        return typed
    # The engine takes only one of both flags. It needs the second to accept a text that looks like a secret.
    is_number = bool(value) and _NUMBER.fullmatch(value[0])
    return [word for word in typed if word.partition("=")[0] != "--plaintext"] if is_number else list(words)


def _set_all(words: Sequence[str], set_all_position: int) -> list[list[str]]:
    """`set-all` takes no type. So each number gets its own `set`, and what is left stays one `set-all`."""
    pairs, others = _pairs(words, set_all_position)
    numbers = [(key, value) for flag, key, value in pairs if flag == "--plaintext" and _is_number_of_env(key, value)]
    if not numbers:
        return [list(words)]
    options = [word for word in others if word.partition("=")[0] != "--path"]
    sets = [["config", "set", *options, "--path", AS_TEXT, "--", key, value] for key, value in numbers]
    rest = [word for flag, key, value in pairs if (key, value) not in numbers for word in (flag, f"{key}={value}")]
    return [*sets, ["config", "set-all", *others, *rest]] if rest else sets


def _pairs(words: Sequence[str], set_all_position: int) -> tuple[list[tuple[str, str, str]], list[str]]:
    """The flag, key and value of each pair of `set-all`; and all other words besides the command's own."""
    pairs: list[tuple[str, str, str]] = []
    others: list[str] = []
    remaining = iter(word for index, word in enumerate(words) if index != set_all_position)
    for word in remaining:
        flag, equals, pair = word.partition("=")
        if flag in _PAIRS:
            key, _, value = (pair if equals else next(remaining, "")).partition("=")
            pairs.append((flag, key, value))
        else:
            others.append(word)
    others.remove("config")
    return pairs, others


def _is_number_of_env(key: str, value: str) -> bool:
    return bool(_BELOW_ENV.match(key) and _NUMBER.fullmatch(value))


def _has(words: Sequence[str], flag: str) -> bool:
    """Whether a flag is set; ``--path=false`` isn't."""
    options = words[: words.index("--")] if "--" in words else words
    return any(word == flag or (word.startswith(f"{flag}=") and word != f"{flag}=false") for word in options)
