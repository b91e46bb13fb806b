"""The command line behind the Makefile: python3 -m tools.setup COMMAND."""

from __future__ import annotations

import argparse
import os
import sys

from tools.setup import targets, workflows
from tools.setup.environment import give_back, set_up, set_up_policy, users_own
from tools.setup.lock import lock
from tools.setup.report import SetupError, say


def main() -> int:
    asked = _parser().parse_args()
    environ = users_own(os.environ)
    try:
        return _run(asked, environ)
    except SetupError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        give_back(environ)


def _run(asked: argparse.Namespace, environ: dict[str, str]) -> int:
    match asked.command:
        case "setup":
            engine = set_up(environ, development=asked.development, retry=not asked.development)
            if not asked.development:
                say(f"ready, with {engine.why}")
            return 0
        case "policy":
            set_up_policy(environ)
            return 0
        case "recover":
            return targets.recover(asked.stack, environ, asked.config_file)
        case "test":
            return targets.test(asked.arguments, environ)
        case "workflows":
            return workflows.check(environ)
        case "lock":
            return lock(environ)
        case target:
            return targets.run(target, asked.stack, environ)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tools.setup")
    commands = parser.add_subparsers(dest="command", required=True)
    setup = commands.add_parser("setup", help="make the engine, the Python environment and the plugin")
    setup.add_argument("--development", action="store_true", help="with the tools for tests and checks")
    for target in targets.COMMANDS:
        commands.add_parser(target).add_argument("--stack", default="dev")
    recover = commands.add_parser("recover", help="bring state and cloud back together after a kill of `up`")
    recover.add_argument("--stack", default="dev")
    recover.add_argument("--config-file", help="the stack's settings, where they aren't in the project's folder")
    commands.add_parser("policy", help="make the policy pack's environment")
    commands.add_parser("test").add_argument("arguments", nargs=argparse.REMAINDER)
    commands.add_parser("workflows", help="check the workflows with actionlint")
    commands.add_parser("lock")
    return parser


if __name__ == "__main__":
    sys.exit(main())
