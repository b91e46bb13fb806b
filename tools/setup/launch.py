"""What bin/pulumi runs: it sets up what is missing, then becomes the engine."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from tools.setup.environment import for_command, set_up, users_own
from tools.setup.report import SetupError, say


def main() -> None:
    words = sys.argv[1:]
    environ = users_own(os.environ)
    try:
        env = for_command(words, environ)
        engine = set_up(environ)
    except SetupError as error:
        say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    become(engine.program, words, env)


def become(program: Path, words: list[str], env: Mapping[str, str]) -> None:
    """Run the engine in place of this program."""
    # A shell's background job ignores SIGINT, and so would plugins: the engine ends them by it, and would wait 5 s.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execve(program, ["pulumi", *words], env)


if __name__ == "__main__":
    main()
