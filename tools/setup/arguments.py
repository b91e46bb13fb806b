"""Reads the stack, the project folder and the positional words from a Pulumi command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

# The value of these flags is the next word, unless it is joined to the flag with `=`.
LONG_WITH_VALUE = {
    "--color", "--config", "--config-file", "--copy-config-from", "--cwd", "--memprofilerate", "--message",
    "--otel-traces", "--profiling", "--secrets-provider", "--stack", "--teams", "--tracing", "--type", "--verbose",
}  # fmt: skip
SHORT_WITH_VALUE = set("Ccmpstv")
SHORT_NAMES = {"s": "stack", "C": "cwd"}
# `pulumi stack COMMAND NAME`: these commands take the stack's name as an argument.
STACK_COMMANDS_WITH_NAME = {"init", "new", "select", "rm", "remove"}
# These commands need no stack, or manage the backend itself. The engine runs them without our defaults.
WITHOUT_BACKEND = {
    None, "about", "api", "completion", "convert", "deployment", "do", "env", "gen-completion", "help",
    "insights", "install", "login", "logout", "neo", "org", "package", "plugin", "policy", "schema",
    "template", "version",
}  # fmt: skip

# `destroy` with one of these deletes nothing, or not everything.
_PARTIAL = {"--preview-only", "--target", "-t", "--exclude", "--remote"}


class CommandLine(NamedTuple):
    """The command, the stack that it names, and the folder that it runs in."""

    command: str | None = None
    stack: str | None = None
    folder: str | None = None
    needs_backend: bool = True


def read(words: Sequence[str]) -> CommandLine:
    """The parts of the command line ``pulumi <words>`` that the set-up needs."""
    values, positions, flags = _split(words)
    positional = [words[position] for position in positions]
    command = positional[0] if positional else None
    stack = values.get("stack")
    if stack is None and command == "stack" and len(positional) > 2 and positional[1] in STACK_COMMANDS_WITH_NAME:
        stack = positional[2]
    only_prints = bool(flags & {"--help", "-h", "--version"}) or (
        command == "new" and bool(flags & {"--list-templates", "-l", "--generate-only", "-g"})
    )
    return CommandLine(
        command=command,
        stack=stack,
        folder=values.get("cwd"),
        needs_backend=command not in WITHOUT_BACKEND and not only_prints,
    )


def deletes_a_stack(words: Sequence[str]) -> bool:
    """Whether the command line deletes all resources of a stack."""
    command_line = read(words)
    names = {word.partition("=")[0] for word in words}
    return command_line.command in ("destroy", "down", "dn") and command_line.needs_backend and not names & _PARTIAL


def positions(words: Sequence[str]) -> list[int]:
    """Where the words are that are neither flags nor values of flags: the command, its subcommand and arguments."""
    return _split(words)[1]


def _split(words: Sequence[str]) -> tuple[dict[str, str], list[int], set[str]]:
    """The values of --stack and --cwd, the positions of the positional words, and all flags."""
    values: dict[str, str] = {}
    positions: list[int] = []
    flags: set[str] = set()
    numbered = enumerate(words)
    remaining = (word for _, word in numbered)
    for position, word in numbered:
        if word == "--":
            positions += [position for position, _ in numbered]
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            if not equals and flag in LONG_WITH_VALUE:
                value = next(remaining, "")
            flags.add(flag)
            if flag in {"--stack", "--cwd"}:
                values[flag[2:]] = value
        elif word.startswith("-") and len(word) > 1:
            letter, value = _read_short(word[1:], remaining)
            flags |= {f"-{character}" for character in word[1:]}
            if letter in SHORT_NAMES:
                values[SHORT_NAMES[letter]] = value
        else:
            positions.append(position)
    return values, positions, flags


def _read_short(letters: str, following: Iterator[str]) -> tuple[str, str]:
    """The last flag of a group such as `-ys dev`, `-ysdev` or `-ys=dev`, and its value."""
    for index, letter in enumerate(letters):
        if letter in SHORT_WITH_VALUE:
            joined_value = letters[index + 1 :].removeprefix("=")
            return letter, joined_value or next(following, "")
    return letters[-1], ""
