"""Shell commands split by bash's rules, and which of their programs a line can't go on without."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.app.scripts import Files, mistakes, scripts
from components.app.shell_words import simple_commands


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("gunicorn app:app # don't stop", [["gunicorn", "app:app"]]),
        ("echo a#b", [["echo", "a#b"]]),
        (r"echo $'it\'s' && b", [["echo", "it's"], ["b"]]),
        (r"""echo "a \"b\"" 'c d'e\ f""", [["echo", 'a "b"', "c de f"]]),
        ("a ${PORT:-5000} $X", [["a", "${PORT:-5000}", "$X"]]),
        ("a 2>&1 >./log </dev/null | b &>> ./all", [["a"], ["b"]]),
        ('a && b "$(echo "it\'s")" && ./c', [["a"], ["b"]]),
        ("a `date` && ./c", [["a"]]),
        ("a <(./b) && ./c", [["a"]]),
        ("cat <<END\n./c\nEND", [["cat"]]),
        ("(a; b)", [["a"], ["b"]]),
    ],
)
def test_words_are_those_of_bash_up_to_what_is_not_understood(command: str, words: list[list[str]]):
    assert [simple.words for simple in simple_commands(command)] == words


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("./missing.sh", True),
        ("true && ./missing.sh && true", True),
        ("true; ./missing.sh", True),
        ("(true; ./missing.sh) && true", True),
        ("./missing.sh || true", False),
        ("./missing.sh; true", False),
        (". ./missing.sh\ntrue", False),
        ("false && ./missing.sh; true", False),
        ("if false; then ./missing.sh; fi", False),
        ("[ -f missing.sh ] && ./missing.sh; true", False),
        ("! ./missing.sh", False),
        ("./missing.sh & true", False),
    ],
)
def test_a_missing_script_is_refused_only_if_bash_fails_without_it(tmp_path: Path, command: str, needed: bool):
    assert bool(mistakes(command, Files(tmp_path, {}))) is needed
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True)
    assert (result.returncode != 0) is needed


def test_a_folder_inside_parentheses_holds_only_there():
    assert [script.path for script in scripts("(cd src && ./a) && ./b")] == ["src/a", "b"]
