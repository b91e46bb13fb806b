"""The scripts that the Procfile's lines start, checked while the app is packed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from components.app.procfile import ProcfileError
from components.app.scripts import Files, mistakes, scripts
from components.app.source import Source
from tests.packed_app import packed

RUN = b"#!/bin/sh\nexec gunicorn a:b\n"


def app_with(folder: Path, executable: bool = True, **contents: bytes) -> Files:
    """An app with files, whose names are written with __ for a slash and _ for a dot."""
    named = {name.replace("__", "/").replace("_", "."): content for name, content in contents.items()}
    for name, content in named.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755 if executable else 0o644)
    return Files(folder, named)


def sentence(command: str, files: Files) -> str:
    """The only mistake in a command."""
    (only,) = mistakes(command, files)
    return only


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        ("./start.sh", ["start.sh"]),
        ("bin/run --fast", ["bin/run"]),
        ("sh start.sh", ["start.sh"]),
        ("bash -eu -o pipefail start.sh x", ["start.sh"]),
        ("LEVEL=1 exec ./start.sh", ["start.sh"]),
        ("env LEVEL=1 sh -e ./start.sh", ["start.sh"]),
        ("python migrate.py && ./start.sh", ["migrate.py", "start.sh"]),
        ("python3.13 -u -W ignore -Xdev serve.py --fast", ["serve.py"]),
        ("poetry run python serve.py", ["serve.py"]),
        ("newrelic-admin run-program bin/web", ["bin/web"]),
        ("python -m shop", []),
        ("python -c 'import shop' x.py", []),
        ("python -um shop x.py", []),
        ("python - x.py", []),
        ("cd src && ../run.sh; sh x.sh | ./y", ["run.sh", "src/x.sh", "src/y"]),
        (". ./env.sh && gunicorn a:b", ["env.sh"]),
        ("sh -c './start.sh'", ["start.sh"]),
        ("cd src && bash -lc 'cd jobs && exec ./run.sh'", ["src/jobs/run.sh"]),
        ("bash -lc 'gunicorn a:b'", []),
        ("cd $HOME && ./start.sh", []),
        ("/usr/bin/python3 x.py", []),
        ("./$NAME.sh", []),
        ("gunicorn --chdir ./src 'a:b()'", []),
        ("echo './a.sh; ./b.sh'", []),
        ("sh", []),
    ],
)
def test_the_scripts_of_a_command_are_found(command: str, paths: list[str]):
    assert [script.path for script in scripts(command)] == paths


@pytest.mark.parametrize("command", ["./start.sh", "sh start.sh", "bin/run", "cd bin && ./run && . ../start.sh"])
def test_scripts_that_can_run_are_accepted(tmp_path: Path, command: str):
    assert mistakes(command, app_with(tmp_path, start_sh=RUN, bin__run=RUN)) == []


@pytest.mark.parametrize("command", ["./start.sh", "sh start.sh", "true && bash start.sh"])
def test_windows_line_endings_are_named_with_the_command_that_converts_them(tmp_path: Path, command: str):
    message = sentence(command, app_with(tmp_path, start_sh=RUN.replace(b"\n", b"\r\n")))
    assert "start.sh has Windows line endings" in message
    assert "`sed -i 's/\\r$//' start.sh`" in message
    assert "'start.sh text eol=lf' in .gitattributes" in message


def test_a_script_that_is_not_executable_is_named_with_both_commands(tmp_path: Path):
    message = sentence("./start.sh", app_with(tmp_path, executable=False, start_sh=RUN))
    assert "`chmod +x start.sh`" in message
    assert "`git update-index --chmod=+x start.sh`" in message


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (RUN, "or write `bash web` into"),
        (b"#!/usr/bin/env python\n", "or write `python web` into"),
        (b"\x7fELF\x02\0", "`git update-index --chmod=+x web`"),
    ],
)
def test_the_line_for_a_script_that_is_not_executable_names_its_interpreter(
    tmp_path: Path, content: bytes, remedy: str
):
    message = sentence("./web", app_with(tmp_path, executable=False, web=content))
    assert remedy in message
    assert ("into the line" in message) == (b"\0" not in content)


def test_a_folder_with_a_main_module_is_a_script_of_python(tmp_path: Path):
    files = Files(tmp_path, {"shop/__main__.py": b""})
    assert mistakes("python shop", files) == []
    assert "the app has no file store" in sentence("python store", files)


def test_a_script_that_a_shell_runs_need_not_be_executable(tmp_path: Path):
    assert mistakes("sh start.sh", app_with(tmp_path, executable=False, start_sh=RUN)) == []


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("./start.sh", "the app has no file start.sh"),
        ("sh deploy/start.sh", "the app has no file deploy/start.sh"),
        ("bin/gunicorn a:b", "write `gunicorn` if a package has this command"),
        (".venv/bin/gunicorn a:b", "virtual environment, .*: write `gunicorn`"),
        (". venv/bin/activate && gunicorn a:b", "virtual environment, .*: leave this out"),
        ("bin/", "bin/ is a folder"),
        ("python serve.py", "the app has no file serve.py"),
        ("bash -c 'deploy/start.sh'", "the app has no file deploy/start.sh"),
        (". ./.env && gunicorn a:b", r"leave it out, and set its variables with: pulumi config set --path env\.NAME"),
        (
            "bin/start-nginx gunicorn a:b",
            "buildpack: delete `bin/start-nginx` from the line, because a server has Nginx",
        ),
    ],
)
def test_a_missing_script_is_named_with_the_remedy(tmp_path: Path, command: str, reason: str):
    assert re.search(reason, sentence(command, app_with(tmp_path, bin__run=RUN)))


@pytest.mark.parametrize(
    ("command", "right"),
    [
        ("bash -lc 'gunicorn a:b'", "write `bash -c`"),
        ("exec bash --login -c 'gunicorn a:b'", "write `bash -c`"),
        ("bash -l -eu -c 'gunicorn a:b'", "write `bash -eu -c`"),
        ("bash -l run.sh", "write `bash`"),
    ],
)
def test_a_login_shell_is_refused_with_the_line_to_write(tmp_path: Path, command: str, right: str):
    assert right in sentence(command, app_with(tmp_path, run_sh=RUN))


def test_a_script_that_gitignore_excludes_is_pointed_out(tmp_path: Path):
    (tmp_path / "start.sh").write_bytes(RUN)
    assert "excluded by .gitignore" in sentence("./start.sh", Files(tmp_path, {}))


def test_a_file_of_variables_is_never_asked_for_in_the_release(tmp_path: Path):
    (tmp_path / ".env").write_bytes(b"TOKEN=1")
    assert ".gitignore" not in sentence("source .env && gunicorn a:b", Files(tmp_path, {}))


@pytest.mark.parametrize(
    "command",
    ["[ -f ./env.sh ] && . ./env.sh; gunicorn a:b", "if test -x ./a; then ./a; fi", "bash -c './a || gunicorn a:b'"],
)
def test_a_script_behind_a_condition_may_be_missing(tmp_path: Path, command: str):
    assert mistakes(command, Files(tmp_path, {})) == []


def test_a_program_that_the_build_makes_may_be_missing(tmp_path: Path):
    assert mistakes("bin/server", Files(tmp_path, {}, has_build=True)) == []


@pytest.mark.parametrize(
    ("shebang", "reason"),
    [
        ("#!/usr/bin/env zsh", "a server has no zsh: install it with the line 'zsh' in the file Aptfile"),
        ("#!/bin/zsh -e", "a server has no zsh"),
        ("#!/usr/local/bin/bash", "write '#!/usr/bin/env bash'"),
        ("#!/usr/bin/python", "write '#!/usr/bin/env python'"),
        ("#!/home/me/shop/.venv/bin/python3", "write '#!/usr/bin/env python3'"),
    ],
)
def test_an_interpreter_that_no_server_has_is_named(tmp_path: Path, shebang: str, reason: str):
    assert reason in sentence("./start.sh", app_with(tmp_path, start_sh=f"{shebang}\ntrue\n".encode()))


@pytest.mark.parametrize("shebang", ["#!/usr/bin/env -S python -u", "#!/bin/bash", "#! /bin/sh -e", "#!", "true"])
def test_other_first_lines_are_accepted(tmp_path: Path, shebang: str):
    assert mistakes("./start.sh", app_with(tmp_path, start_sh=f"{shebang}\ntrue\n".encode())) == []


def test_an_interpreter_that_the_app_installs_is_accepted(tmp_path: Path):
    files: Mapping[str, bytes] = app_with(tmp_path, start_sh=b"#!/usr/bin/env zsh\n").contents
    assert mistakes("./start.sh", Files(tmp_path, files, {"zsh"})) == []


def test_all_mistakes_of_a_procfile_come_at_once_with_their_lines(app: Path):
    (app / "Procfile").write_text("web: ./start.sh\n\nrelease: gunicorn a:b()\nworker: sh work.sh\n")
    (app / "start.sh").write_bytes(b"#!/bin/bash\r\ngunicorn a:b\r\n")
    with pytest.raises(ProcfileError) as caught:
        packed(app)
    beginnings = [line.partition(" has ")[0][:30] for line in str(caught.value).splitlines()]
    assert beginnings == [
        "Procfile, line 1: web: start.s",
        "Procfile, line 1: web: start.s",
        "Procfile, line 3: release: 'gu",
        "Procfile, line 4: worker: the ",
    ]


def test_the_aptfile_of_the_app_counts(app: Path):
    (app / "Procfile").write_text("web: gunicorn a:b\nworker: ./work.sh\n")
    (app / "work.sh").write_bytes(b"#!/usr/bin/env zsh\n")
    (app / "work.sh").chmod(0o755)
    (app / "Aptfile").write_text("zsh=5.9-8 # the shell\n")
    packed(app)


def test_the_packages_of_the_setting_count(app: Path, tmp_path: Path):
    (app / "Procfile").write_text("web: gunicorn a:b\nworker: ./work.sh\n")
    (app / "work.sh").write_bytes(b"#!/usr/bin/env zsh\n")
    (app / "work.sh").chmod(0o755)
    with pytest.raises(ProcfileError, match="with the setting aptPackages"):
        Source(app, None).pack(tmp_path / "out")
    assert Source(app, None, ("zsh",)).pack(tmp_path / "out").tarball
