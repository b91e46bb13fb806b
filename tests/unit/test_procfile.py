"""The Procfile and app.json, checked or written while the app is packed."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.app.procfile import ProcfileError
from tests.packed_app import packed
from tests.unit.tarballs import members


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        (
            "Procfile",
            "web: gunicorn a:b\nworker: python 'a\n",
            "line 2: worker: .* can't be read by the shell: .*matching",
        ),
        ("app.json", "{", "app.json is not JSON"),
        ("app.json", '{"cron": [{"schedule": "daily", "command": "a"}]}', "five fields of cron"),
    ],
)
def test_another_command_that_cannot_work_is_refused_while_packing(app: Path, name: str, text: str, reason: str):
    (app / name).write_text(text)
    with pytest.raises(ProcfileError, match=reason):
        packed(app)


@pytest.mark.parametrize(
    "line",
    [
        "web: python -m gunicorn a:b",
        "web: LEVEL=debug gunicorn a:b",
        "web: gunicorn --log-level info a:b\r",
        "web: ddtrace-run gunicorn a:b",
        "\ufeffweb: gunicorn a:b",
    ],
)
def test_gunicorn_may_have_a_wrapper_and_the_procfile_any_line_ends(app: Path, line: str):
    (app / "Procfile").write_text(line + "\n", "utf-8")
    assert "Procfile" in members(app)


@pytest.mark.parametrize(
    "line",
    [
        "web: gunicorn -b 0.0.0.0:$PORT a:b",
        "web: gunicorn",
        "web: uvicorn --uds ${GANTRY_SOCKET} a:b",
        "web: uvicorn a:b --port ${PORT:-5000}",
        'web: sh -c "cd src && gunicorn a:b"',
        "web: cd src && exec gunicorn a:b | tee log",
        "web: poetry run python manage.py migrate && poetry run gunicorn a:b",
        "web: gunicorn 'site:create_app(debug=\"a;b\")' --log-level info",
        "web: gunicorn $PORTAL_APP",
    ],
)
def test_a_web_line_is_any_shell_command(app: Path, line: str):
    (app / "manage.py").touch()
    (app / "Procfile").write_text(line + "\n")
    assert "Procfile" in members(app)


def test_other_commands_are_shell_commands_too(app: Path):
    (app / "jobs").mkdir()
    for name in ("seed.py", "jobs/a.py"):
        (app / name).touch()
    (app / "Procfile").write_text("web: gunicorn a:b\nrelease: flask db upgrade && python seed.py > log\n")
    (app / "app.json").write_text('{"cron": [{"schedule": "@daily", "command": "cd jobs && python a.py | tee log"}]}')
    assert "app.json" in members(app)
