"""The program behind bin/pulumi: it sets up what is missing, then replaces itself by the engine.

One command can become several: see env_values.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from tools.setup import arguments, env_values, lost_data
from tools.setup.engine_env import for_command, for_setup
from tools.setup.installation import set_up
from tools.setup.report import SetupError, say


def main() -> None:
    words = sys.argv[1:]
    environ = for_setup(os.environ)
    try:
        env = for_command(words, environ)
        engine = set_up(environ)
    except SetupError as error:
        say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    if arguments.deletes_a_stack(words):
        say_what_is_lost(engine.program, words, env)
    *earlier, last = env_values.commands(words)
    for command in earlier:
        run_first(engine.program, command, env)
    run_in_place(engine.program, last, env)


def say_what_is_lost(program: Path, words: list[str], env: Mapping[str, str]) -> None:
    """Before `destroy`, says which files are deleted with the servers."""
    command_line = arguments.read(words)
    folder = ["--cwd", command_line.folder] if command_line.folder else []
    try:
        lost_data.announce([str(program), *folder], command_line.stack, env)
    except KeyboardInterrupt:
        sys.exit(130)


def run_first(program: Path, words: list[str], env: Mapping[str, str]) -> None:
    """Runs the engine, and ends with its exit status if it fails."""
    try:
        status = subprocess.run([program, *words], env=env).returncode
    except KeyboardInterrupt:
        sys.exit(130)
    if status != 0:
        sys.exit(status if status > 0 else 128 - status)


def run_in_place(program: Path, words: list[str], env: Mapping[str, str]) -> None:
    """Replaces this process by the engine."""
    # A shell's background job ignores SIGINT, and the plugins would inherit that. The engine stops its plugins with
    # SIGINT, and would wait 5 seconds for each.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execve(program, ["pulumi", *words], env)


if __name__ == "__main__":
    main()
