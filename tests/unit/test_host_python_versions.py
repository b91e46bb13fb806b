"""Which Python an app asks for, and which one a server chooses."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.errors import ReleaseError
from host.packages import pythons, uv
from host.packages.python_versions import Choice, choose, download_warning
from host.packages.requirements import Read
from host.paths import Paths

PROJECT = '[project]\nname = "shop"\nrequires-python = "{}"\n'
PIPFILE_LOCK = '{"default": {}, "_meta": {"requires": {"python_version": "3.9"}}}'
PIPFILE = '[packages]\nflask = "*"\n[requires]\npython_version = "3.9"\n'
SERVER = "3.13.5"


def app(**files: str) -> Read:
    """An app with these files. In their names, _ stands for a dot."""
    contents = {"requirements.txt": b""} | {name.replace("_", "."): text.encode() for name, text in files.items()}
    names = {"version": ".python-version", "tools": ".tool-versions"}
    contents = {names.get(name, name): content for name, content in contents.items()}
    return contents.get


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"runtime_txt": "python-3.13\n"},
        {"version": "3.13.5\n"},
        {"version": "3\n"},
        {"version": "system\n"},
        {"version": ">= 3.11\n"},
        {"tools": "nodejs 20.1.0\npython latest\n"},
        {"tools": "nodejs 20.1.0 # python 3.9\n\n"},
        {"pyproject_toml": PROJECT.format(">=3.9,<4")},
        {"pyproject_toml": '[tool.poetry.dependencies]\npython = "^3.9"\n'},
        {"Pipfile": "", "Pipfile_lock": '{"_meta": {"requires": {"python_version": "3.13"}}}'},
        {"pyproject_toml": PROJECT.format("unreadable")},
    ],
)
def test_the_servers_python_is_used_if_it_fits(files: dict[str, str]):
    assert choose(app(**files), SERVER) == Choice()


@pytest.mark.parametrize(
    ("version", "files"),
    [
        ("3.9.18", {"runtime_txt": "python-3.9.18\n", "version": "3.9\n"}),
        ("3.9", {"version": "# ours\n3.9\n3.8\n"}),
        ("3.9", {"version": "cpython-3.9"}),
        ("3.9.18", {"tools": "# ours\nnodejs 20.1.0\npython 3.9.18 system\n"}),
        ("3.9", {"version": "cpython@3.9"}),
        ("3.9", {"version": "3.9-dev"}),
        ("3.9.18", {"version": "3.9.18/envs/shop"}),
        ("3.9.18", {"version": "cpython-3.9.18-linux-x86_64-gnu"}),
        ("3.9", {"runtime_txt": "python-3.9.x\n"}),
        ("3.9.18", {"runtime_txt": "Python 3.9.18\n"}),
        ("3.12", {"version": ">=3.9,<3.13"}),
        ("3.9", {"Pipfile": PIPFILE, "Pipfile_lock": PIPFILE_LOCK}),
        ("3.9", {"Pipfile": '[packages]\nflask = "*"\n', "Pipfile_lock": PIPFILE_LOCK}),
        ("3.12", {"pyproject_toml": PROJECT.format(">=3.9,<3.13")}),
        ("3.14", {"pyproject_toml": PROJECT.format(">=3.14")}),
        ("3.11.4", {"pyproject_toml": PROJECT.format("==3.11.4")}),
        ("3.11", {"pyproject_toml": PROJECT.format("==3.11.*")}),
        ("3.9", {"pyproject_toml": '[tool.poetry.dependencies]\npython = "~3.9"\n'}),
        ("3.12", {"pyproject_toml": '[tool.poetry.dependencies]\npython = ">=3.8,<3.10 || ~3.12"\n'}),
        ("3.10", {"pyproject_toml": PROJECT.format(">=3.9,<3.13"), "runtime_txt": "python-3.10"}),
    ],
)
def test_another_version_is_asked_for_by_name(version: str, files: dict[str, str]):
    assert choose(app(**files), SERVER).version == version


def test_another_last_number_of_the_servers_version_is_said():
    assert choose(app(runtime_txt="python-3.13.2"), SERVER) == Choice(
        note="Python 3.13.5 instead of 3.13.2 (runtime.txt)"
    )


@pytest.mark.parametrize(
    ("reason", "files"),
    [
        (r"3\.11\.4 \(runtime\.txt\) and 3\.9 \(\.python-v", {"version": "3.9", "runtime_txt": "python-3.11.4"}),
        ("different versions of Python", {"version": "3.9", "pyproject_toml": PROJECT.format(">=3.10")}),
        ("different versions of Python", {"version": "3.13", "pyproject_toml": PROJECT.format("<3.12")}),
        ("no version of Python fits", {"pyproject_toml": PROJECT.format("<3.7")}),
        (r'write >=3\.11 in requires-python in pyproject\.toml', {"pyproject_toml": PROJECT.format("3.11")}),
        (r"3\.6\.15 \(runtime\.txt\), and the oldest .* is 3\.8: .* such as 3\.13", {"runtime_txt": "python-3.6.15"}),
        (r"Python 2\.7 \(\.python-version\), and the oldest one", {"version": "2.7"}),
        (r"Python 3\.5 \(Pipfile\), and", {"Pipfile": PIPFILE.replace("3.9", "3.5"), "Pipfile_lock": "{}"}),
        (r"Python ==3\.6\.9 \(requires-python in", {"pyproject_toml": PROJECT.format("==3.6.9")}),
        (r"runtime\.txt has 'pypy-3\.9', but must name", {"runtime_txt": "pypy-3.9"}),
        (r"\.python-version has '3.12t', but must name", {"version": "3.12t"}),
        (r"\.python-version has 'my-env', but must name", {"version": "my-env"}),
    ],
)  # fmt: skip
def test_versions_that_contradict_each_other_are_refused_with_their_files(reason: str, files: dict[str, str]):
    with pytest.raises(ValueError, match=reason):
        choose(app(**files), SERVER)


def test_a_python_that_only_a_list_of_the_users_own_may_have_gets_a_warning():
    choice = choose(app(runtime_txt="python-3.7.9"), SERVER)
    warning = download_warning(choice)
    assert choice.version == "3.7.9"
    assert "3.7.9 (runtime.txt), and the oldest one that servers can download is 3.8, unless" in warning
    assert not download_warning(choose(app(runtime_txt="python-3.8"), SERVER))
    assert not download_warning(Choice())


def test_a_version_may_be_in_utf_16_with_a_byte_order_mark():
    contents = {"requirements.txt": b"", "runtime.txt": "python-3.9\n".encode("utf-16")}
    assert choose(contents.get, SERVER).version == "3.9"
    contents["runtime.txt"] = "python-3.9\n".encode("utf-16-le")
    with pytest.raises(ValueError, match=r"runtime\.txt, line 1: the file has NUL bytes"):
        choose(contents.get, SERVER)


class FakeUv:
    """Replaces uv: installs only the versions ``available``."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths, self.available = Paths(root), list[str]()
        self.variables: dict[str, str] = {}
        monkeypatch.setattr(uv, "run", self.run)
        monkeypatch.setattr(pythons.shutil, "chown", lambda *_: None)

    def run(self, command: list[str], folder: Path, variables: dict[str, str], *, writable: Path) -> str:
        assert writable == self.paths.pythons
        self.variables = variables
        fitting = [version for version in self.available if f"{version}.".startswith(f"{command[-1]}.")]
        if not fitting:
            raise ReleaseError("the requirements can't be installed:\nerror: No download found")
        python = folder / f"cpython-{fitting[-1]}-linux-x86_64-gnu/bin/python3"
        python.parent.mkdir(parents=True)
        python.touch()
        return ""


@pytest.fixture
def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeUv:
    return FakeUv(tmp_path, monkeypatch)


def test_the_version_is_installed_once_from_the_mirror_of_the_setting(fake_uv: FakeUv):
    fake_uv.available = ["3.9.18", "3.9.25"]
    fake_uv.paths.python_mirror.parent.mkdir(parents=True)
    fake_uv.paths.python_mirror.write_text("https://mirror.test/python")
    choice = Choice(version="3.9", reason="3.9 (runtime.txt)")
    python, notes = pythons.executable(fake_uv.paths, choice)
    assert python.endswith("cpython-3.9.25-linux-x86_64-gnu/bin/python3")
    assert notes == ["Python 3.9.25 for 3.9 (runtime.txt)"]
    assert fake_uv.variables["UV_PYTHON_INSTALL_MIRROR"] == "https://mirror.test/python"
    fake_uv.available = []
    assert pythons.executable(fake_uv.paths, choice)[0] == python


def test_the_mirror_may_be_a_list_of_versions_with_their_digests(fake_uv: FakeUv):
    fake_uv.available = ["3.9.18"]
    fake_uv.paths.python_mirror.parent.mkdir(parents=True)
    fake_uv.paths.python_mirror.write_text("https://mirror.test/pythons.json")
    pythons.executable(fake_uv.paths, Choice(version="3.9", reason="3.9 (runtime.txt)"))
    assert fake_uv.variables["UV_PYTHON_DOWNLOADS_JSON_URL"] == "https://mirror.test/pythons.json"
    assert "UV_PYTHON_INSTALL_MIRROR" not in fake_uv.variables


def test_another_last_number_is_used_and_said_if_the_exact_version_cannot_be_had(fake_uv: FakeUv):
    fake_uv.available = ["3.9.25"]
    notes = pythons.executable(fake_uv.paths, Choice(version="3.9.18", reason="3.9.18 (runtime.txt)"))[1]
    assert notes == ["Python 3.9.25 for 3.9.18 (runtime.txt)"]


def test_a_version_that_cannot_be_had_is_refused_with_both_versions_and_the_remedy(fake_uv: FakeUv):
    fake_uv.available = ["3.9.25"]
    for version in ("3.10", "3.10.4"):
        with pytest.raises(ReleaseError, match=rf"asks for Python {version}.*this server has 3\.") as error:
            pythons.executable(fake_uv.paths, Choice(version=version, reason=f"{version} (runtime.txt)"))
        assert "No download found" in str(error.value)
        assert "pulumi config set pythonMirror" in str(error.value)
    with pytest.raises(ReleaseError):
        pythons.executable(fake_uv.paths, Choice(version="3.9.4", reason="==3.9.4 (requires-python)"))


def test_versions_without_a_virtual_environment_are_removed(fake_uv: FakeUv):
    paths = fake_uv.paths
    for version in ("3.9.25", "3.10.4"):
        (paths.pythons / f"cpython-{version}-linux/bin").mkdir(parents=True)
        (paths.pythons / f"cpython-{version}-linux/bin/python3").touch()
    (paths.pythons / "cpython-3.10-linux").symlink_to("cpython-3.10.4-linux")
    (paths.venvs / "a/bin").mkdir(parents=True)
    (paths.venvs / "a/bin/python").symlink_to(paths.pythons / "cpython-3.9.25-linux/bin/python3")
    pythons.prune(paths)
    assert [folder.name for folder in paths.pythons.iterdir()] == ["cpython-3.9.25-linux"]


def test_an_older_python_gets_the_gunicorn_that_it_can_run():
    paths = Paths()
    older = {version: pythons.gunicorn_requirements(paths, Choice(version=version)) for version in ("3.9", "3.10", "")}
    assert older["3.9"] == paths.older_gunicorn_requirements
    assert older["3.10"] == older[""] == paths.gunicorn_requirements
