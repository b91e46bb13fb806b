"""What to change if uv finds no package, no version or no repository."""

from __future__ import annotations

import pytest

from host.packages.uv_advice import of_output

ABSENT = "  cause: Because {0} was not found in the package registry and you require {0}==1.0, we can conclude"


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (ABSENT.format("no-package"), "no package no-package: correct its name"),
        (ABSENT.format("os"), "os is a part of Python and no package: take it out"),
        (
            "  cause: Because there is no version of flask==99.0 and you require flask==99.0, we can\n      conclude",
            "has no flask==99.0: ask for a version that exists, or write flask for the newest",
        ),
        ("  Host key verification failed.\n  fatal: Could not read from remote repository.", "write git+https://"),
        (
            "fatal: could not read Username for 'https://git.test': terminal prompts disabled",
            "at https://git.test does",
        ),
        ("fatal: Authentication failed for 'https://hunter2@git.test/a.git/'", "at https://git.test/a.git/ does"),
    ],
)
def test_the_sentence_says_what_to_change_and_has_no_password(output: str, sentence: str):
    assert sentence in of_output(output)
    assert "hunter2" not in of_output(output)


def test_other_errors_of_uv_speak_for_themselves():
    assert of_output("error: Failed to fetch: https://index.test/simple/flask/") == ""
    assert of_output("Because flask>=3 depends on werkzeug>=3 and you require werkzeug==2.0, we can conclude") == ""
