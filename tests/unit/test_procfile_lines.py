"""The Procfile's name, encoding, lines and syntax, checked while the app is packed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components import shell_syntax
from components.app import artifact, spelling
from components.app.procfile import ProcfileError
from components.shell_syntax import syntax_error
from tests.packed_app import packed
from tests.unit.tarballs import members


def refusal(app: Path) -> str:
    with pytest.raises(ProcfileError) as caught:
        packed(app)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("worker: rq\n", ["no web process, only worker", "'web: gunicorn yourmodule:app'"]),
        ("", ["no web process, and no other", "'web: gunicorn yourmodule:app'"]),
        ("Web: gunicorn a:b\n", ["no web process, but Web: write web in small letters"]),
        ("web gunicorn a:b\n", ["line 1: 'web gunicorn a:b'", "name: command"]),
        ("web: gunicorn a:b\nrelease: a\nrelease: b", ["lines 2 and 3", "release: a && b"]),
        ("web: gunicorn 'a:b", ["line 1: web", "can't be read by the shell", "a quote isn't closed"]),
        ("web: true\nRelease: true\n", ["line 2: Release isn't release: write release in small letters"]),
        ("web: true\nWeb: true\n", ["line 2: Web isn't web"]),
        ("web: true &&", ["line 1: web", "can't be read by the shell", "nothing follows &&"]),
        ("web: gunicorn “a:b()” \u2013w 2", ["line 1: web", 'write: gunicorn "a:b()" -w 2']),
        ("web: gunicorn\u00a0a:b —bind 0:%PORT%", ["write: gunicorn a:b --bind 0:$PORT"]),
    ],
)
def test_a_procfile_that_cannot_work_is_refused_while_packing(app: Path, text: str, parts: list[str]):
    (app / "Procfile").write_text(text)
    message = refusal(app)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("web :  gunicorn a:b", "write 'web: gunicorn a:b'"),
        ("web= gunicorn a:b", "write 'web: gunicorn a:b'"),
        ("web gunicorn a:b", "write 'web: gunicorn a:b'"),
        ("- web: gunicorn a:b", "write 'web: gunicorn a:b'"),
        ('"web: gunicorn a:b"', "write 'web: gunicorn a:b'"),
        ("web\uff1a gunicorn a:b", "write 'web: gunicorn a:b'"),
        ("\u200bweb: gunicorn a:b", "write 'web: gunicorn a:b'"),
        ("gunicorn a:b", "write 'web: gunicorn a:b'"),
        ("web: true\ncelery.beat: celery beat", "write 'celery-beat: celery beat'"),
        ("web: true\nmail worker: python m.py", "write 'mail-worker: python m.py'"),
        ("web: true\ncafé: true", "write 'cafe: true'"),
        ("web:\nworker: true", "it has no command: write one after 'web:', or delete the line"),
        ("web: true &&\n  gunicorn a:b", "write both as one: web: true && gunicorn a:b"),
        ("web: gunicorn a:b\n  -b 0.0.0.0:$PORT", "write both as one: web: gunicorn a:b -b 0.0.0.0:$PORT"),
        ("// the shop\nweb: true", "write '# the shop'"),
        ("<<<<<<< HEAD\nweb: true", "resolve the conflict"),
        ("```\nweb: true\n```", "delete this line"),
    ],
)
def test_the_error_for_a_line_of_another_form_has_the_line_to_write(app: Path, text: str, remedy: str):
    (app / "Procfile").write_text(text)
    assert remedy in refusal(app)


@pytest.mark.parametrize(
    ("command", "corrected"),
    [
        ("gunicorn -b 0:{PORT} a:b", "gunicorn -b 0:$PORT a:b"),
        ("gunicorn -b 0:{{ PORT }} a:b", "gunicorn -b 0:$PORT a:b"),
        ("gunicorn -b 0:${{PORT}} a:b", "gunicorn -b 0:$PORT a:b"),
        ("gunicorn -b 0:$env:PORT a:b", "gunicorn -b 0:$PORT a:b"),
        ("gunicorn -b 0:$$PORT a:b", "gunicorn -b 0:$PORT a:b"),
        ("gunicorn -b 0:$(PORT) a:b", "gunicorn -b 0:$PORT a:b"),
        ("gunicorn -b 0:\\$PORT a:b", "gunicorn -b 0:$PORT a:b"),
        ("gunicorn -b 0:${PORT:-80} 'a:b(“x”)' # “quoted” \u2013 {PORT}", None),
        ('sh -c "gunicorn -b 0:\\$PORT a:b"', None),
        ("date +%FT%T && gunicorn a:b -b 0:${PORT}", None),
    ],
)
def test_a_command_is_corrected_only_where_bash_reads_something_else(command: str, corrected: str | None):
    assert spelling.corrected(command) == corrected


def test_without_a_web_line_the_error_has_the_line_for_the_app_that_would_be_found(app: Path):
    (app / "Procfile").write_text("worker: rq\n")
    (app / "wsgi.py").write_text("application = None\n")
    assert "'web: gunicorn wsgi:application'" in refusal(app)


@pytest.mark.parametrize("name", ["procfile", "PROCFILE", "Procfile.txt"])
def test_a_procfile_with_another_name_is_pointed_out(app: Path, name: str):
    (app / "Procfile").rename(app / name)
    (app / "Procfile.dev").touch()
    assert f"`mv {name} Procfile`" in refusal(app)


def test_for_a_procfile_for_another_purpose_the_error_has_the_line_to_write(app: Path):
    (app / "Procfile").rename(app / "Procfile.production")
    (app / "Procfile.heroku").touch()
    (app / "app.py").write_text("app = None\n")
    message = refusal(app)
    assert "`mv Procfile.production Procfile`" in message
    assert "'web: gunicorn app:app'" in message


@pytest.mark.parametrize(
    "name",
    [
        "Procfile.dev",
        "Procfile.local",
        "Procfile.windows",
        "Procfile.example",
        "Procfile.bak",
        "Procfile~",
        "Procfile_old",
    ],
)
def test_a_procfile_that_is_not_for_servers_is_only_pointed_out(app: Path, name: str):
    (app / "Procfile").rename(app / name)
    (app / "app.py").write_text("app = None\n")
    contents = artifact.contents(app)
    assert contents.web_line == "web: gunicorn app:app"
    assert any(note.startswith(f"servers don't read {name}: ") for note in contents.notes)


def test_a_script_that_installs_packages_is_pointed_out_with_the_line(app: Path):
    (app / "Procfile").write_text("web: bash start.sh\nrelease: bash start.sh\n")
    (app / "start.sh").write_text("set -e\npip install -r requirements.txt\n")
    [note] = artifact.contents(app).notes
    assert note.startswith("start.sh, line 2: `pip install -r requirements.txt` isn't needed")


def test_a_bot_is_told_that_servers_run_apps_that_answer_requests(app: Path):
    (app / "Procfile").write_text("worker: python bot.py\n")
    assert "servers run only apps that answer requests" in refusal(app)


def test_a_procfile_that_gitignore_excludes_is_pointed_out(app: Path):
    (app / ".gitignore").write_text("Proc*\n")
    (app / "app.py").write_text("app = None\n")
    assert "Procfile is excluded by .gitignore" in refusal(app)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_procfile_with_a_byte_order_mark_is_read(app: Path, encoding: str):
    (app / "Procfile").write_text("web: gunicorn a:b\r\n", encoding)
    assert "Procfile" in members(app)


def test_a_procfile_in_latin_1_is_refused_with_the_line(app: Path):
    (app / "Procfile").write_text("web: gunicorn a:b\n# größe\n", "latin-1")
    assert "Procfile, line 2: a character isn't in UTF-8" in refusal(app)


def test_an_unquoted_factory_is_refused_with_the_quoted_line(app: Path):
    (app / "Procfile").write_text("web: gunicorn --log-level info app:create_app()\n")
    message = refusal(app)
    assert "Procfile, line 1: web" in message
    assert message.endswith("so write: gunicorn --log-level info 'app:create_app()'")


def test_an_argument_with_quotes_gets_the_other_ones():
    assert str(syntax_error("gunicorn shop.web:make('prod')")).endswith("gunicorn \"shop.web:make('prod')\"")


@pytest.mark.parametrize("command", ["a &&", "if true; then a", "a | | b", "(a"])
def test_the_words_of_bash_are_shown(command: str):
    assert "syntax error" in str(syntax_error(command))


@pytest.mark.parametrize("command", ["a && b | c > d &", "exec a ${PORT:-5000}", "gunicorn 'a:b()'", 'sh -c "a; b"'])
def test_what_a_shell_can_run_is_right(command: str):
    assert syntax_error(command) is None


@pytest.mark.parametrize(
    "command",
    [
        "gunicorn a:b # don't stop",
        'gunicorn a:b -n "$(echo "it\'s")"',
        r"gunicorn a:b -n $'it\'s'",
        "./no.sh || gunicorn a:b",
    ],
)
def test_a_line_that_bash_runs_is_packed_from_the_procfile_and_app_json(app: Path, command: str):
    (app / "Procfile").write_text(f"web: {command}\n")
    (app / "app.json").write_text(json.dumps({"cron": [{"schedule": "@daily", "command": command}]}))
    assert "Procfile" in members(app)


@pytest.mark.parametrize(("size", "is_accepted"), [(131_071, True), (131_072, False), (200_000, False)])
def test_a_command_that_is_too_long_for_linux_is_refused(app: Path, size: int, is_accepted: bool):
    assert syntax_error(f"echo {'x' * 200_000}") is None
    (app / "Procfile").write_text(f"web: {'echo '.ljust(size, 'x')}\n")
    if is_accepted:
        assert "Procfile" in members(app)
    else:
        assert f"has {size} bytes, and Linux starts none with more than 131071" in refusal(app)


def test_a_folder_with_the_name_procfile_is_called_one(app: Path):
    (app / "Procfile").unlink()
    (app / "Procfile").mkdir()
    (app / "Procfile/web").touch()
    (app / "app.py").write_text("app = None\n")
    message = refusal(app)
    assert "Procfile is a folder" in message
    assert "'web: gunicorn app:app'" in message


def test_nothing_of_the_command_runs(tmp_path: Path):
    assert syntax_error(f"touch {tmp_path}/ran $(touch {tmp_path}/ran)") is None
    assert not (tmp_path / "ran").exists()


def test_without_bash_the_server_finds_the_mistake(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shell_syntax.shutil, "which", lambda _: None)
    assert syntax_error("a &&") is None
