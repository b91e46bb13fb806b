"""The Procfile's lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from host import procfile
from host.procfile import Line


def test_blank_lines_and_comments_are_skipped_and_the_numbers_are_those_of_an_editor():
    text = "# start\r\n\r\nweb: gunicorn a:b  \rmy_worker:python a.py\n  mail-2:\tpython b.py # c\n"
    assert procfile.lines(text) == [
        Line(3, "web", "gunicorn a:b"),
        Line(4, "my_worker", "python a.py"),
        Line(5, "mail-2", "python b.py # c"),
    ]


@pytest.mark.parametrize("character", ["\x0c", "\u2028", "\x85"])
def test_only_line_ends_end_a_line(character: str):
    assert procfile.processes(f"web: gunicorn a:b --name 'x{character}y'\n") == {
        "web": f"gunicorn a:b --name 'x{character}y'"
    }


@pytest.mark.parametrize("line", ["web gunicorn a:b", "web.1: gunicorn a:b", "web:", "web:   ", "größe: a", ": a", "a"])
def test_a_line_of_another_form_is_refused_with_its_number_and_the_rule(line: str):
    with pytest.raises(ValueError, match=r"Procfile, line 2: .*name of letters, digits, _ and -(;|$)"):
        procfile.processes(f"# first\n{line}\n")


def test_a_line_after_a_backslash_is_refused_with_the_joined_line():
    reason = r"Procfile, line 2: '--workers 2 .*line 1 ends with a backslash.*Write: web: gunicorn --workers 2 a:b$"
    with pytest.raises(ValueError, match=reason):
        procfile.processes("web: gunicorn \\\n  --workers 2 \\\n  a:b\nworker: rq\n")


def test_the_rest_of_a_command_after_a_backslash_is_no_process_of_its_own():
    with pytest.raises(ValueError, match=r"line 2: 'app:app' is refused \(line 1 .*Write: web: gunicorn app:app$"):
        procfile.processes("web: gunicorn \\\n  app:app\n")


def test_all_lines_with_one_name_are_refused_together_with_a_joined_line():
    text = "release: python step.py migrate\nweb: gunicorn a:b\n\nrelease: python step.py load\nrelease: sh end.sh\n"
    with pytest.raises(ValueError) as caught:
        procfile.processes(text)
    assert str(caught.value).splitlines() == [
        "Procfile: lines 1, 4 and 5 have the same name, and only one of them could run",
        "  line 1: release: python step.py migrate",
        "  line 4: release: python step.py load",
        "  line 5: release: sh end.sh",
        "join them to 'release: python step.py migrate && python step.py load && sh end.sh', or delete all but one",
    ]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("web", "delete all but one$"), ("mail", "delete all but one, or .* such as mail2 for line 2$")],
)
def test_of_two_lines_for_a_running_process_the_remedy_is_another_name(name: str, remedy: str):
    with pytest.raises(ValueError, match=remedy):
        procfile.processes(f"{name}: a\n{name}: b\n")


def test_two_names_with_several_lines_are_refused_together():
    with pytest.raises(ValueError, match=r"(?s)lines 1 and 2 .*lines 3 and 4"):
        procfile.processes("web: a\nweb: b\nmail: a\nmail: b\n")


def test_a_release_that_was_packed_with_two_lines_of_one_name_still_runs(tmp_path: Path):
    (tmp_path / "Procfile").write_text("web: gunicorn a:b\nweb: gunicorn c:d\n")
    assert procfile.read(tmp_path) == {"web": "gunicorn c:d"}


def test_reserved_lines_are_no_services():
    commands = procfile.processes("web: a\nrelease: b\nbuild: c\nverify: d\nworker: e\n")
    assert procfile.services(commands) == {"worker": "e"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_procfile_is_read_in_any_encoding_that_is_certain(encoding: str):
    assert procfile.decode("web: gunicorn größe:b\n".encode(encoding)) == "web: gunicorn größe:b\n"


def test_another_encoding_is_refused_with_the_line():
    with pytest.raises(ValueError, match="Procfile, line 2: a character isn't in UTF-8: save the file as UTF-8"):
        procfile.decode("web: gunicorn a:b\n# größe\n".encode("latin-1"))


def test_utf_16_without_its_mark_is_refused():
    with pytest.raises(ValueError, match="save the file as UTF-8"):
        procfile.decode("web: gunicorn a:b\n".encode("utf-16-le"))
