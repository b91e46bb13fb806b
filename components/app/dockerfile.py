"""The start command, the ports and the variables in a Dockerfile, which servers don't read."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping

from components.app import documents

NAME = "Dockerfile"
_INSTRUCTION = re.compile(r"^\s*(?P<name>[A-Za-z]+)\s+(?P<rest>\S.*)$")
_PAIR = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>\"[^\"]*\"|'[^']*'|\S*)")


def command(contents: Mapping[str, bytes]) -> str:
    """The command that a container runs; empty if the file doesn't say it."""
    texts = {"ENTRYPOINT": "", "CMD": ""}
    for name, rest in _instructions(contents):
        if name in texts:
            texts[name] = _command(rest)
    return " ".join(filter(None, texts.values()))


def ports(contents: Mapping[str, bytes]) -> list[str]:
    """The ports that the file exposes."""
    return [port for name, rest in _instructions(contents) if name == "EXPOSE" for port in re.findall(r"\d+", rest)]


def variables(contents: Mapping[str, bytes]) -> dict[str, str]:
    """The variables of the last stage, without those whose values are made of others."""
    found = dict[str, str]()
    for name, rest in _instructions(contents):
        if name != "ENV":
            continue
        pairs = [(match["name"], match["value"].strip("\"'")) for match in _PAIR.finditer(rest)]
        # The older form: ENV NAME value.
        first, _, value = rest.partition(" ")
        found |= dict(pairs) if "=" in first else {first: value.strip().strip("\"'")}
    return {name: value for name, value in found.items() if "$" not in value}


def _instructions(contents: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """The instructions of the last stage, each in one line."""
    text = contents.get(NAME, b"").decode(errors="replace").replace("\r", "")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"[ \t]*\\[ \t]*\n\s*", " ", "\n".join(lines))
    matches = filter(None, map(_INSTRUCTION.match, joined.splitlines()))
    found = [(match["name"].upper(), match["rest"].strip()) for match in matches]
    start = max((index for index, (name, _) in enumerate(found) if name == "FROM"), default=-1)
    yield from found[start + 1 :]


def _command(rest: str) -> str:
    """A command in the form of a shell or in that of a list."""
    if not rest.startswith("["):
        return rest
    try:
        words = [word for word in documents.items(json.loads(rest)) if isinstance(word, str)]
    except (ValueError, RecursionError):
        return ""
    # sh -c "command": the Procfile's line is a shell command anyway.
    if words[:2] in (["sh", "-c"], ["/bin/sh", "-c"], ["bash", "-c"], ["/bin/bash", "-c"]) and len(words) == 3:
        return words[2]
    return shlex.join(words)
