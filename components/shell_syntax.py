"""The syntax of a shell command, as bash on this computer sees it."""

from __future__ import annotations

import re
import shutil
import subprocess

# An application factory that isn't quoted, such as app:create_app("prod"). Bash takes its parenthesis for its own.
_FACTORY = re.compile(r"""(?<![\w'"])([\w.]+:[\w.]+\([^()|;&]*\))(?!['"])""")
# An operator of the shell with nothing behind it.
_OPEN_END = re.compile(r"(&&|\|\|?)\s*$")
_PREFIX = re.compile(r"^\S*bash: (?:-c: )?line \d+: ", re.MULTILINE)


def syntax_error(command: str) -> str | None:
    """Bash's words about a command that it can't parse, and the corrected command if the cause is known.

    None if the command is right, or if this computer has no bash.
    """
    if (words := _bash(command)) is None:
        return None
    corrected = _FACTORY.sub(lambda match: _quoted(match[1]), command)
    if corrected != command and _bash(corrected) is None:
        return f"{words}: a call needs quotes, so write: {corrected}"
    return words


def _quoted(call: str) -> str:
    return f'"{call}"' if "'" in call else f"'{call}'"


def _bash(command: str) -> str | None:
    """Bash's words about a command, in one line; None if it finds no mistake or isn't installed."""
    if (bash := shutil.which("bash")) is None:
        return None
    # With -n bash reads the command and runs nothing. An argument couldn't have more than 128 KiB.
    text = f"{command}\n".encode(errors="replace")
    result = subprocess.run([bash, "-n"], input=text, capture_output=True, env={"LC_ALL": "C"})
    if result.returncode == 0:
        return None
    first, *_ = result.stderr.decode(errors="replace").splitlines() or ["bash can't read it"]
    words = _PREFIX.sub("", first)
    if re.search("matching `['\"]'", words):
        return f"{words} (a quote isn't closed)"
    if match := _OPEN_END.search(command):
        return f"{words}: nothing follows {match[1]}: write the next command into the same line, or delete {match[1]}"
    return words
