"""Errors of the command flask, and the sentences with their remedies."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.explain import explain

# The words of Flask 3.1.
NOT_LOCATED = (
    "Error: Could not locate a Flask application. Use the 'flask --app' option, 'FLASK_APP' environment variable"
)


@pytest.mark.parametrize(
    ("files", "remedy"),
    [
        ({"hello.py": "app = Flask(__name__)\n", "a.py": ""}, "such as `flask --app hello`."),
        ({"a.py": ""}, "such as `flask --app <module>`."),
        (
            {".flaskenv": "FLASK_APP=hello\n", "requirements.txt": ""},
            "`flask --app hello` in place of `flask` into the Procfile, or add python-dotenv to requirements.txt.",
        ),
    ],
)
def test_a_command_of_flask_without_its_app_gets_the_option_app(tmp_path: Path, files: dict[str, str], remedy: str):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert explain(NOT_LOCATED, tmp_path).endswith(remedy)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Error: Could not import 'shop'.", "The app has no module shop: correct the name behind --app"),
        (
            "Error: Failed to find Flask application or factory in module 'shop'. Use 'shop:name' to specify one.",
            "write `--app shop:<name>`",
        ),
        ("Error: No such command 'db'.", "Flask-Migrate adds the command `flask db`"),
        ("Error: No such command 'shop'.", ""),
    ],
)
def test_other_errors_of_flask_get_their_sentences(text: str, sentence: str):
    assert sentence in explain(text)
    assert bool(explain(text)) == bool(sentence)
