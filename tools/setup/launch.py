"""What bin/pulumi runs: it sets up what is missing, then becomes the engine."""

from __future__ import annotations

import os
import sys
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
    os.execve(engine.program, ["pulumi", *words], env)


if __name__ == "__main__":
    main()
