"""The command line behind the Makefile: python3 -m tools.setup COMMAND."""

from __future__ import annotations

import argparse
import os
import sys

from tools.setup import targets, workflows
from tools.setup.engine_env import for_setup
from tools.setup.installation import return_to_owner, set_up, set_up_policy
from tools.setup.lock import lock
from tools.setup.report import SetupError, say


def main() -> int:
    options = _parser().parse_args()
    environ = for_setup(os.environ)
    try:
        return _run(options, environ)
    except SetupError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        return_to_owner(environ)


def _run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    match options.command:
        case "setup":
            engine = set_up(environ, development=options.development, retry=not options.development)
            if not options.development:
                say(f"ready, with {engine.why}")
            return 0
        case "policy":
            set_up_policy(environ)
            return 0
        case "recover":
            return targets.recover(options.stack, environ, options.config_file)
        case "test":
            return targets.test(options.arguments, environ)
        case "workflows":
            return workflows.check(environ)
        case "lock":
            return lock(environ)
        case target:
            return targets.run(target, options.stack, environ, options.config_file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tools.setup")
    commands = parser.add_subparsers(dest="command", required=True)
    setup = commands.add_parser("setup", help="install the engine, the virtual environment and the command plugin")
    setup.add_argument("--development", action="store_true", help="also install the tools for tests and checks")
    for target, help_text in targets.HELP.items():
        _add_stack_options(commands.add_parser(target, help=help_text))
    _add_stack_options(commands.add_parser("recover", help="repair the stack's state after a killed `up`"))
    commands.add_parser("policy", help="install the policy pack's virtual environment")
    test = commands.add_parser("test", help="run the tests")
    test.add_argument("arguments", nargs="*", help="arguments for pytest; default: all tests")
    commands.add_parser("workflows", help="check the workflows with actionlint")
    commands.add_parser("lock", help="update and lock the requirements")
    return parser


def _add_stack_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack", default="dev", help="default: dev")
    parser.add_argument("--config-file", help="the stack's settings, if they aren't in the project's folder")


if __name__ == "__main__":
    sys.exit(main())
