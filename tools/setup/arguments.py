"""What the Pulumi command line asks for, as far as it decides which stack and backend are meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

# Flags whose value is the next word when it is not joined to them.
LONG_WITH_VALUE = {
    "--color", "--config", "--config-file", "--copy-config-from", "--cwd", "--memprofilerate", "--message",
    "--otel-traces", "--profiling", "--secrets-provider", "--teams", "--tracing", "--verbose",
}  # fmt: skip
SHORT_WITH_VALUE = set("Ccmpstv")
SHORT_NAMES = {"s": "stack", "C": "cwd"}
STACK_NAMING = {"init", "new", "select", "rm", "remove"}
# These need no stack, or are about the backend itself: the engine gets them as they are.
WITHOUT_BACKEND = {
    None, "about", "api", "completion", "convert", "deployment", "do", "env", "gen-completion", "help",
    "insights", "install", "login", "logout", "neo", "org", "package", "plugin", "policy", "schema",
    "template", "version",
}  # fmt: skip


class Arguments(NamedTuple):
    """The command, the stack that it names, and the folder that it works in."""

    command: str | None = None
    stack: str | None = None
    folder: str | None = None
    needs_backend: bool = True


def read(words: Sequence[str]) -> Arguments:
    named, positional, flags = _split(words)
    command = positional[0] if positional else None
    stack = named.get("stack")
    if stack is None and command == "stack" and len(positional) > 2 and positional[1] in STACK_NAMING:
        stack = positional[2]
    only_tells = bool(flags & {"--help", "-h", "--version"}) or (
        command == "new" and bool(flags & {"--list-templates", "-l", "--generate-only", "-g"})
    )
    return Arguments(command, stack, named.get("cwd"), command not in WITHOUT_BACKEND and not only_tells)


def _split(words: Sequence[str]) -> tuple[dict[str, str], list[str], set[str]]:
    """The values of --stack and --cwd, the words that are no flags, and the flags."""
    named: dict[str, str] = {}
    positional: list[str] = []
    flags: set[str] = set()
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        if word.startswith("--"):
            flag, joined, value = word.partition("=")
            if not joined and (flag == "--stack" or flag in LONG_WITH_VALUE):
                value = next(rest, "")
            flags.add(flag)
            if flag in {"--stack", "--cwd"}:
                named[flag[2:]] = value
        elif word.startswith("-") and len(word) > 1:
            letter, value = _read_short(word[1:], rest)
            flags |= {f"-{one}" for one in word[1:]}
            if letter in SHORT_NAMES:
                named[SHORT_NAMES[letter]] = value
        else:
            positional.append(word)
    return named, positional, flags


def _read_short(letters: str, following: Iterator[str]) -> tuple[str, str]:
    """The letter that ends a cluster such as `-ys dev`, `-ysdev` or `-ys=dev`, and its value."""
    for place, letter in enumerate(letters):
        if letter in SHORT_WITH_VALUE:
            joined = letters[place + 1 :].removeprefix("=")
            return letter, joined or next(following, "")
    return letters[-1], ""
