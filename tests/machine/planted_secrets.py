"""Secrets that are planted in a stack, and what it takes to find them wherever somebody else might read."""

from __future__ import annotations

import base64
import re
import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Secret:
    """``mark`` is the part that no quoting changes."""

    name: str
    value: str
    mark: str

    @classmethod
    def make(cls, name: str, form: str) -> Secret:
        """One with a new mark in the place of #."""
        mark = secrets.token_hex(9)
        return cls(name, form.replace("#", mark), mark)

    @classmethod
    def key(cls, name: str, text: str) -> Secret:
        """A private Ed25519 key in OpenSSH's format; what nobody may know of it is in its fourth line of base64."""
        return cls(name, text, text.splitlines()[4][24:48])

    def forms(self) -> list[str]:
        """The mark, and how it would look within base64, which depends on what precedes it."""
        encoded = [base64.b64encode(b"0" * before + self.mark.encode()).decode() for before in range(3)]
        return [self.mark, *(text[skip:-4] for text, skip in zip(encoded, (0, 2, 3), strict=True))]


def found(planted: Iterable[Secret], content: str | bytes) -> set[str]:
    """The names of those that are in the content."""
    text = content if isinstance(content, str) else content.decode(errors="replace")
    return {secret.name for secret in planted if any(form in text for form in secret.forms())}


def search(planted: list[Secret], folders: str) -> str:
    """A script for sh that prints ``<file>:<form>`` for each form in a file below the folders."""
    forms = "\n".join(form for secret in planted for form in secret.forms())
    # Not as an argument, where this search would be what it looks for.
    return f"grep -raoF -D skip -f /dev/fd/3 {folders} 3<<'END'\n{forms}\nEND\ntrue\n"


def hits(planted: list[Secret], said: str) -> set[tuple[str, str]]:
    """What ``search`` has said: files, and the secrets in them."""
    names = {form: secret.name for secret in planted for form in secret.forms()}
    return {(file, names[form]) for file, _, form in (line.rpartition(":") for line in said.splitlines())}


@dataclass
class Seen:
    """Command lines of all processes of this computer, and environments, by user, of those in machines."""

    commands: set[bytes] = field(default_factory=set[bytes])
    environments: set[tuple[int, bytes]] = field(default_factory=set[tuple[int, bytes]])

    def look(self) -> None:
        own = Path("/proc/self/ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                self.commands.add((process / "cmdline").read_bytes())
                if (process / "ns/pid").readlink() != own:
                    self.environments.add((process.stat().st_uid, (process / "environ").read_bytes()))

    def commands_match(self, pattern: bytes) -> bool:
        return any(re.search(pattern, command.replace(b"\0", b" ")) for command in self.commands)


@contextmanager
def watching(seen: Seen) -> Iterator[None]:
    """Look, over and over, while the block runs."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            seen.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
