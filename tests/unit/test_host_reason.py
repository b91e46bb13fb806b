from __future__ import annotations

import pytest

from host.errors import ReleaseError
from host.reason import MOST_CHARACTERS, reason_of

TRACEBACK = """Traceback (most recent call last):
  File "app.py", line 3, in <module>
    raise KeyError("X")
KeyError: 'X'
[INFO] Worker exiting
]"""

CHECKS = """SystemCheckError: System check identified some issues:

ERRORS:
?: (admin.E403) No template
?: (admin.E406) No messages
error: the web process has ended"""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        # An app's last line is often only a bracket.
        (ReleaseError("the app doesn't start:\nsettings = [\n  'a',\n]"), "the app doesn't start: settings = ["),
        (ReleaseError(f"the app doesn't start:\n{TRACEBACK}"), "the app doesn't start: KeyError: 'X'"),
        (
            ReleaseError(f"the app doesn't start:\n{TRACEBACK}", "The app needs the variable X."),
            "the app doesn't start: The app needs the variable X.",
        ),
        (
            ReleaseError(f"it isn't healthy: GET / answered 500\n{TRACEBACK}", outcome="the server rolled back"),
            "it isn't healthy: GET / answered 500: KeyError: 'X'",
        ),
        (ReleaseError("it isn't healthy: GET / answered 500\nlistening on 3"), "it isn't healthy: GET / answered 500"),
        (
            ReleaseError(f"the app doesn't start:\n{CHECKS}"),
            "the app doesn't start: SystemCheckError: System check identified some issues: ?: (admin.E403) No template",
        ),
        (
            ReleaseError("the release phase failed: flask go\nusage: flask\nflask: error: no SECRET\nbye bye"),
            "the release phase failed: flask go: flask: error: no SECRET",
        ),
        # The program that waits for the app knows less than the app.
        (
            ReleaseError("the app doesn't start:\nSECRET isn't set\nerror: the web process has ended (exit status 1)"),
            "the app doesn't start: SECRET isn't set",
        ),
        (
            ReleaseError("the app doesn't start:\nerror: the web process has ended (exit status 1)"),
            "the web process has ended (exit status 1)",
        ),
        (
            ReleaseError("the app doesn't start:\nRunning\nerror: the web process listens on port 5000: write $PORT"),
            "the web process listens on port 5000: write $PORT",
        ),
        (ReleaseError("the app doesn't start:\n]"), "the app doesn't start"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_the_reason_says_what_failed_and_why(error: BaseException, reason: str):
    assert reason_of(error, {}) == reason


def test_the_reason_names_variables_instead_of_their_values():
    variables = {
        "DATABASE_URL": "postgres://shop:correct-horse@db/shop",
        "TOKEN": "hunter22",
        "DEBUG": "on",
        "RELEASE": "3f2a91c0ffee",
    }
    error = ReleaseError(
        "the app doesn't start:\nValueError: hunter22 isn't allowed on 3f2a91c0ffee (password correct-horse)"
    )
    assert reason_of(error, variables) == (
        "the app doesn't start: ValueError: [TOKEN] isn't allowed on 3f2a91c0ffee (password [DATABASE_URL])"
    )


def test_a_long_reason_is_cut():
    reason = reason_of(ReleaseError(f"the app doesn't start:\nValueError: {'x' * 1000}"), {})
    assert len(reason) == MOST_CHARACTERS
    assert reason.endswith("x…")
