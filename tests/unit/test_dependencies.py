"""The files that list an app's packages, checked while it is packed."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.app import artifact
from components.app.dependencies import DependencyError
from components.errors import UserError
from tests.packed_app import packed
from tests.unit.tarballs import members


def write_package(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "lib"\nversion = "1"\n')


@pytest.mark.parametrize("line", ["-e ./lib", "-e lib", "./lib[extra]", "lib @ file:lib", "lib @ ./lib", "-e ."])
def test_a_package_in_the_apps_folder_is_accepted(app: Path, line: str):
    write_package(app / "lib")
    (app / "setup.py").write_text("from setuptools import setup\nsetup()\n")
    (app / "requirements.txt").write_text(f"flask\n{line}\n")
    assert "requirements.txt" in members(app)


@pytest.mark.parametrize("line", ["-e .", ".", "./lib", "-e lib", "../lib", "./wheels/lib-1.0-py3-none-any.whl"])
def test_a_package_that_the_apps_folder_lacks_is_refused_with_file_line_and_remedy(app: Path, line: str):
    (app / "requirements.txt").write_text(f"flask\n{line}\n")
    with pytest.raises(DependencyError, match=r"requirements\.txt, line 2: .*leave the line out") as error:
        packed(app)
    assert repr(line) in str(error.value)


@pytest.mark.parametrize(
    ("line", "replacement"),
    [
        ("flask @ file:///croot/flask_1716545870149/work", "write flask==<version>"),
        ("numpy @ file:///home/me/numpy-1.26.4-cp311-cp311-linux_x86_64.whl#sha256=ab", "write numpy==1.26.4,"),
        ("pywin32 @ file:///C:/ci/pywin32_1/work", "write pywin32==<version>"),
        ("flask=3.1.0=py312h06a4308_0", "write flask==3.1.0"),
        ("_libgcc_mutex=0.1=main", "isn't a Python package: remove the line"),
        ("ca-certificates=2023.1=h06a4308_0", "isn't a Python package: remove the line"),
        ("openssl=3.0", "isn't a Python package: remove the line"),
        ("python=3.11.5=h955ad1f_0", "Python itself: remove the line; a .python-version file with 3.11 asks"),
        ("flask=3.1.0", "write flask==3.1.0"),
        ("libsass=0.22=py311h_0", "write libsass==0.22"),
    ],
)
def test_a_line_of_conda_is_refused_with_the_line_to_write_instead(app: Path, line: str, replacement: str):
    (app / "requirements.txt").write_text("-r base.txt\n")
    (app / "base.txt").write_text(f"# platform: linux-64\n{line}\n")
    with pytest.raises(DependencyError) as error:
        packed(app)
    assert f"base.txt, line 2: {line!r}" in str(error.value)
    assert replacement in str(error.value)


def test_a_python_that_servers_cannot_download_is_refused_or_pointed_out(app: Path):
    (app / "runtime.txt").write_text("python-3.6.15\n")
    with pytest.raises(
        DependencyError, match=r"3\.6\.15 \(runtime\.txt\), and the oldest one .* 3\.8: .* such as 3\.13"
    ):
        packed(app)
    (app / "runtime.txt").write_text("python-3.7\n")
    assert any("unless the setting pythonMirror names a list" in note for note in artifact.contents(app).notes)


@pytest.mark.parametrize("version", ["19.9.0", "19.10"])
def test_a_gunicorn_that_is_too_old_for_the_servers_python_is_refused(app: Path, version: str):
    (app / "requirements.txt").write_text(f"flask\ngunicorn=={version}  # pinned\n")
    with pytest.raises(
        DependencyError, match=f"requirements.txt, line 2, has gunicorn=={version}, .*: take gunicorn out"
    ):
        packed(app)
    (app / "Pipfile").write_text('[packages]\ngunicorn = "*"\n')
    (app / "Pipfile.lock").write_text(f'{{"default": {{"gunicorn": {{"version": "=={version}"}}}}}}')
    with pytest.raises(DependencyError, match=f"Pipfile.lock has gunicorn=={version}, .*: take gunicorn out"):
        packed(app)
    (app / "runtime.txt").write_text("python-3.9\n")
    assert "Pipfile.lock" in members(app)


@pytest.mark.parametrize(
    ("place", "files"),
    [
        (r"base\.txt, line 1, has gunicorn~=19.9", {"requirements.txt": "-r base.txt\n", "base.txt": "gunicorn~=19.9"}),
        (r"requirements\.txt, line 2, has gunicorn<20", {"requirements.txt": "flask\ngunicorn[gevent]<20 # old\n"}),
        ("c.txt, line 1, has gunicorn==19.9", {"requirements.txt": "gunicorn\n-c c.txt\n", "c.txt": "gunicorn==19.9"}),
        ("pylock.toml has gunicorn==19.9", {"pylock.toml": '[[packages]]\nname = "gunicorn"\nversion = "19.9"\n'}),
        ("", {"requirements.txt": "gunicorn>=19\n"}),
        ("", {"requirements.txt": "gunicorn==19.9; python_version < '3.10'\n"}),
        ("", {"requirements.txt": "gunicorn==20.0.4 --hash=sha256:ab\n"}),
        ("", {"requirements.txt": "flask\n-c c.txt\n", "c.txt": "gunicorn==19.9"}),
    ],
)
def test_every_pin_of_an_old_gunicorn_that_can_be_read_is_refused(app: Path, place: str, files: dict[str, str]):
    for name, text in files.items():
        (app / name).write_text(text)
    if not place:
        assert "requirements.txt" in members(app)
        return
    with pytest.raises(DependencyError, match=f"{place}.*: take gunicorn out"):
        packed(app)


def test_a_project_that_asks_for_an_old_gunicorn_is_refused(app: Path):
    (app / "requirements.txt").unlink()
    (app / "pyproject.toml").write_text('[project]\nname = "shop"\ndependencies = ["gunicorn<20"]\n')
    with pytest.raises(DependencyError, match=r"pyproject\.toml has gunicorn<20.*: take gunicorn out"):
        packed(app)


def test_a_list_may_name_files_in_quotes_but_not_with_backslashes(app: Path):
    (app / "requirements").mkdir()
    (app / "requirements/base.txt").write_text("flask\n")
    (app / "requirements.txt").write_text('-r "requirements/base.txt"\n')
    assert "requirements.txt" in members(app)
    (app / "requirements.txt").write_text("flask\n-r requirements\\base.txt\n")
    with pytest.raises(DependencyError, match=r"requirements\.txt, line 2: .*: write -r requirements/base\.txt$"):
        packed(app)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("pyproject.toml", "[project\n", r"pyproject\.toml can't be read: .*line 1.*; correct it"),
        ("pyproject.toml", 'project = "x"\n', "project must be a table, but is 'x'; correct it"),
        ("pyproject.toml", "<<<<<<< HEAD\n", r"pyproject\.toml, line 1: '<<<<<<< HEAD' is left over from a merge"),
        ("pyproject.toml", '[project]\nname = "a"\ndependencies = [""]\n', r"dependencies\[0\] must be"),
        ("Pipfile.lock", '{\n<<<<<<< HEAD\n}', "Pipfile.lock, line 2: .* merge conflict.*`pipenv lock`"),
        ("Pipfile.lock", "{", "Pipfile.lock can't be read: .*; write it again with `pipenv lock`"),
        ("requirements.txt", "flask\r\n<<<<<<< HEAD\r\n", r"requirements\.txt, line 2: '<<<<<<< HEAD' is left"),
        ("Aptfile", ">>>>>>> main\n", "Aptfile, line 1: '>>>>>>> main' is left over"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_with_place_and_remedy(app: Path, name: str, text: str, sentence: str):
    if name != "Aptfile":
        (app / "requirements.txt").unlink()
    (app / name).write_text(text)
    with pytest.raises(UserError, match=sentence):
        packed(app)


def test_an_aptfile_may_be_in_utf_16_with_a_byte_order_mark(app: Path):
    (app / "Aptfile").write_bytes("ffmpeg\n".encode("utf-16"))
    assert "Aptfile" in members(app)
    (app / "Aptfile").write_bytes("ffmpeg\n".encode("utf-16-le"))
    with pytest.raises(DependencyError, match=r"Aptfile, line 1: the file has NUL bytes.*save it as UTF-8"):
        packed(app)


@pytest.mark.parametrize(
    ("names", "remedy"),
    [
        (
            ["requirements/dev.txt", "requirements/production.txt", "requirements/base.txt"],
            "`-r requirements/production.txt`",
        ),
        (["requirements-dev.txt", "requirements-prod.txt"], "`-r requirements-prod.txt`"),
        (["requirements.in"], "`uv pip compile requirements.in -o requirements.txt`"),
        (["Requirements.txt"], "`mv Requirements.txt requirements.txt`"),
        (["backend/requirements.txt", "docs/requirements.txt"], "`-r backend/requirements.txt`"),
        (["pylock.dev.toml", "pylock.prod.toml"], "`mv pylock.prod.toml pylock.toml`"),
    ],
)
def test_a_list_with_another_name_is_pointed_out(app: Path, names: list[str], remedy: str):
    (app / "requirements.txt").unlink()
    for name in names:
        (app / name).parent.mkdir(exist_ok=True)
        (app / name).write_text("flask\n")
    with pytest.raises(DependencyError, match=r"no requirements\.txt") as error:
        packed(app)
    assert remedy in str(error.value)


@pytest.mark.parametrize(("line", "reason"), [("apt-get install ffmpeg", "command"), ("ppa:a/b", "of Ubuntu")])
def test_a_line_of_an_aptfile_that_is_no_name_gets_its_own_reason(app: Path, line: str, reason: str):
    (app / "Aptfile").write_text(f"{line}\n")
    with pytest.raises(DependencyError, match=f"Aptfile, line 1: .*{reason}"):
        packed(app)


@pytest.mark.parametrize(
    ("file", "listed_in", "remedy"),
    [
        ("requirements.lock", "pyproject.toml", "`cp requirements.lock requirements.txt`"),
        ("requirements.lock", "requirements.txt", ""),
        ("pylock.prod.toml", "requirements.txt", "`mv pylock.prod.toml pylock.toml`"),
        ("pylock.prod.toml", "pyproject.toml", "`mv pylock.prod.toml pylock.toml`"),
    ],
)
def test_a_lock_that_servers_do_not_read_is_named(app: Path, file: str, listed_in: str, remedy: str):
    (app / "requirements.txt").unlink()
    (app / file).write_text("flask==3.1.0\n")
    project = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["flask"]\n'
    (app / listed_in).write_text(project if listed_in == "pyproject.toml" else "flask\n")
    found = artifact.contents(app)[1]
    assert [remedy in note for note in found] == [True] * bool(remedy)


@pytest.mark.parametrize(
    "root",
    [
        {},
        {"pyproject.toml": "[tool.uv.workspace]\nmembers = ['backend']\n", "uv.lock": "version = 1\n"},
        {"frontend/package.json": "{}"},
    ],
)
def test_a_repository_without_packages_of_its_own_names_the_folder_of_its_app(tmp_path: Path, root: dict[str, str]):
    app = {"backend/app.py": "from flask import Flask\napp = Flask(__name__)\n", "backend/requirements.txt": "flask\n"}
    for name, text in {**root, **app}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(
        UserError, match=r"in the folder backend: make that the app with `pulumi config set app /.*/backend`"
    ):
        packed(tmp_path)


def test_the_line_of_rye_for_the_project_itself_is_accepted(app: Path):
    (app / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1"\n')
    (app / "requirements.txt").write_text("-e file:.\nflask==3.1.0\n")
    assert "requirements.txt" in members(app)


def test_an_aptfile_with_another_name_and_an_old_lock_are_said(app: Path):
    (app / "requirements.txt").unlink()
    (app / "aptfile").write_text("ffmpeg\n")
    (app / "pyproject.toml").write_text('[tool.poetry.dependencies]\nflask = "*"\n')
    lock = '[[package]]\nname = "flask"\nversion = "3.1"\n[metadata]\ncontent-hash = "00"\n'
    (app / "poetry.lock").write_text(lock)
    old, aptfile = artifact.contents(app)[1]
    assert "since poetry.lock was written" in old
    assert aptfile == "the app has aptfile, but servers read only Aptfile: rename it"


def test_an_aptfile_that_a_server_cannot_install_is_refused(app: Path):
    (app / "Aptfile").write_text(":repo:deb https://packages.test trixie main\n")
    with pytest.raises(DependencyError, match="Aptfile, line 1"):
        packed(app)


def test_all_unusable_lines_are_named_at_once(app: Path):
    (app / "requirements.txt").write_text("a=1=0\nb=2=0\n")
    with pytest.raises(DependencyError, match=r"line 1.*line 2"):
        packed(app)


def test_a_wheel_in_the_apps_folder_is_accepted(app: Path):
    (app / "wheels").mkdir()
    (app / "wheels/lib-1.0-py3-none-any.whl").touch()
    (app / "requirements.txt").write_text("./wheels/lib-1.0-py3-none-any.whl  # ours\n")
    assert "requirements.txt" in members(app)


def test_an_app_without_requirements_is_refused_with_the_remedy(app: Path):
    (app / "requirements.txt").unlink()
    with pytest.raises(DependencyError, match=r"add a requirements\.txt"):
        packed(app)


def test_a_project_file_or_a_lock_replaces_requirements_but_a_lock_needs_its_project_file(app: Path):
    (app / "requirements.txt").unlink()
    (app / "pyproject.toml").write_text('[project]\nname = "shop"\ndependencies = ["flask"]\n')
    assert "pyproject.toml" in members(app)
    (app / "uv.lock").write_text('[[package]]\nname = "flask"\nversion = "3.1"\n')
    assert "uv.lock" in members(app)
    (app / ".gitignore").write_text("pyproject.toml\n")
    with pytest.raises(
        DependencyError, match=r"the app has uv\.lock, but no .*/pyproject\.toml is excluded by \.gitignore"
    ):
        packed(app)
