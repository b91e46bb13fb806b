"""Secrets for a test to plant in a stack, and searches for them in texts, files and running processes."""

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
    """``mark`` is the part of the value that no quoting changes."""

    name: str
    value: str
    mark: str

    @classmethod
    def random(cls, name: str, form: str) -> Secret:
        """A secret of this form, with a random mark in place of each #."""
        mark = secrets.token_hex(9)
        return cls(name, form.replace("#", mark), mark)

    @classmethod
    def private_key(cls, name: str, text: str) -> Secret:
        """An Ed25519 key in OpenSSH's format. Its fourth line of base64 has the private part, which is the mark."""
        return cls(name, text, text.splitlines()[4][24:48])

    def encodings(self) -> list[str]:
        """The mark as it is, and in base64. The base64 text depends on how many bytes precede the mark."""
        encoded = [base64.b64encode(b"0" * before + self.mark.encode()).decode() for before in range(3)]
        return [self.mark, *(text[skip:-4] for text, skip in zip(encoded, (0, 2, 3), strict=True))]


def secrets_in(content: str | bytes, planted: Iterable[Secret]) -> set[str]:
    """The names of the secrets that are in the content."""
    text = content if isinstance(content, str) else content.decode(errors="replace")
    return {secret.name for secret in planted if any(encoding in text for encoding in secret.encodings())}


def search_script(planted: list[Secret], folders: str) -> str:
    """A shell script that searches all files in the folders. It prints a line `<file>:<encoding>` for each match."""
    encodings = "\n".join(encoding for secret in planted for encoding in secret.encodings())
    # They aren't arguments, because then the search would find its own command line.
    return f"grep -raoF -D skip -f /dev/fd/3 {folders} 3<<'END'\n{encodings}\nEND\ntrue\n"


def matches(planted: list[Secret], output: str) -> set[tuple[str, str]]:
    """Parse the output of ``search_script``: pairs of a file and the name of a secret in it."""
    names = {encoding: secret.name for secret in planted for encoding in secret.encodings()}
    return {(file, names[encoding]) for file, _, encoding in (line.rpartition(":") for line in output.splitlines())}


DROPS_VARIABLES = b"/usr/bin/env\0-i\0"


@dataclass
class ProcessRecord:
    """Command lines of all processes on this computer; and of processes in machines, pairs of user and variables."""

    commands: set[bytes] = field(default_factory=set[bytes])
    variables: set[tuple[int, bytes]] = field(default_factory=set[tuple[int, bytes]])

    def add_current(self) -> None:
        own_namespace = Path("/proc/self/ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                self.commands.add(command := (process / "cmdline").read_bytes())
                # systemd gives a unit's variables to all its commands. `env -i` of root drops them at once.
                if (process / "ns/pid").readlink() != own_namespace and not command.startswith(DROPS_VARIABLES):
                    self.variables.add((process.stat().st_uid, (process / "environ").read_bytes()))

    def has_command(self, pattern: bytes) -> bool:
        return any(re.search(pattern, command.replace(b"\0", b" ")) for command in self.commands)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Add the current processes every 20 ms while the block runs."""
        end = threading.Event()

        def record() -> None:
            while not end.wait(0.02):
                self.add_current()

        thread = threading.Thread(target=record, daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
