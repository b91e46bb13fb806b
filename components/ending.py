"""How the Pulumi program ends when `up` fails: at once, and without a traceback."""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pulumi

from components.errors import UserError

# pulumi-language-python-exec calls this status PYTHON_PROCESS_EXITED_AFTER_SHOWING_USER_ACTIONABLE_MESSAGE_CODE. After
# another status, the engine adds "an unhandled error occurred: program exited with non-zero exit code".
ERROR_IS_SHOWN = 32


def end_at_the_engines_signal() -> None:
    """Lets SIGINT end this process at once.

    After a failure the engine no longer answers registrations, and stops the program with SIGINT. Python would print a
    traceback and wait at its exit for the threads whose registrations aren't answered. The engine would kill it
    5 s later. Nothing is lost: `pulumi.log` returns only when the engine has the message. A user's Ctrl-C doesn't come
    here, because the engine starts the program in a process group of its own.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def errors_as_text() -> Generator[None]:
    """Ends the program at an error that a user can fix. The engine shows its text once, and nothing else."""
    try:
        yield
    except UserError as error:
        _fail(str(error))
    except Exception as error:
        # Pulumi raises this class itself, with a text of the engine, if a cloud refuses a look-up. All other
        # exceptions are mistakes in a program, and keep their traceback.
        if type(error) is not Exception:
            raise
        _fail(str(error))


def _fail(text: str) -> None:
    pulumi.log.error(text)
    sys.exit(ERROR_IS_SHOWN)
