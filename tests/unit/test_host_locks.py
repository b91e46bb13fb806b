"""Locks of Poetry, PDM and Pipenv: which packages they install, and which of several locks counts."""

from __future__ import annotations

import json

import pytest

from host.packages import locks
from host.packages.requirements import Read, choose, installs_own_code, unused
from tests.unit.app_files import app_files

LINUX = {
    "python_full_version": "3.13.5", "python_version": "3.13", "sys_platform": "linux", "os_name": "posix",
    "platform_python_implementation": "CPython", "platform_system": "Linux", "platform_machine": "x86_64",
}  # fmt: skip
POETRY = (
    '[tool.poetry.dependencies]\npython = "^3.9"\nflask = "^3.0"\nuvicorn = {extras = ["standard"], version = "*"}\n'
)
POETRY += 'tomli = {version = ">=2", python = "<3.11"}\npg = {version = "*", optional = true}\n'
POETRY += '[tool.poetry.group.dev.dependencies]\npytest = "*"\n'


def entry(name: str, version: str, more: str = "", dependencies: str = "") -> str:
    """A package of a poetry.lock or pdm.lock."""
    needs = f"[package.dependencies]\n{dependencies}\n" if dependencies else ""
    files = f'files = [{{file = "{name}.whl", hash = "sha256:{version}"}}]\n'
    return f'[[package]]\nname = "{name}"\nversion = "{version}"\n{more}{files}{needs}'


def installed(read: Read, environment: dict[str, str] = LINUX) -> list[str]:
    """The lines of the requirements file that the app's lock becomes, without hashes."""
    text = locks.as_requirements(read, choose(read), environment)
    return [line.split(" --hash")[0] for line in text.splitlines()]


OLD_POETRY_LOCK = (
    entry("Flask", "3.0.0", dependencies='Werkzeug = ">=3"\nclick = {version = "*", markers = "os_name == \'nt\'"}')
    + entry("werkzeug", "2.0")
    + entry("werkzeug", "3.1", more='python-versions = "*"\n')
    + entry("click", "8.0")
    + entry(
        "uvicorn",
        "0.30",
        dependencies='httptools = {version = "*", optional = true, markers = "extra == \\"standard\\""}\n'
        'win = {version = "*", optional = true, markers = "sys_platform == \\"win32\\" and extra == \\"standard\\""}\n'
        'rare = {version = "*", optional = true, markers = "extra == \\"rare\\""}',
    )
    + "".join(entry(name, "1.0") for name in ("httptools", "win", "rare", "pg", "pytest"))
    + entry("tomli", "2.0")
)


def test_an_older_lock_of_poetry_is_followed_from_the_apps_dependencies_with_extras_and_markers():
    read = app_files(pyproject_toml=POETRY, poetry_lock=OLD_POETRY_LOCK)
    assert installed(read) == ["Flask==3.0.0", "httptools==1.0", "uvicorn==0.30", "werkzeug==3.1"]
    older = {**LINUX, "python_full_version": "3.9.18", "python_version": "3.9"}
    assert "tomli==2.0" in installed(read, older)
    on_windows = {**LINUX, "sys_platform": "win32"}
    assert "win==1.0" in installed(read, on_windows)


def test_a_newer_lock_of_poetry_says_the_group_and_the_marker_of_each_package():
    lock = (
        entry("flask", "3.0.0", 'groups = ["main", "dev"]\n')
        + entry("pytest", "8.0", 'groups = ["dev"]\n')
        + entry("pg", "1.0", 'optional = true\ngroups = ["main"]\nmarkers = "extra == \\"pg\\""\n')
        + entry("tomli", "2.0", 'groups = ["main"]\nmarkers = {main = "python_version < \\"3.11\\""}\n')
    )
    assert installed(app_files(pyproject_toml=POETRY, poetry_lock=lock)) == ["flask==3.0.0"]


def test_the_hashes_of_a_lock_are_kept_wherever_its_format_has_them():
    project = '[tool.poetry.dependencies]\nflask = "*"\n'
    at_the_end = (
        '[[package]]\nname = "flask"\nversion = "3.0"\n[metadata.files]\nflask = [{file = "f", hash = "sha256:ab"}]\n'
    )
    oldest = '[[package]]\nname = "flask"\nversion = "3.0"\n[metadata.hashes]\nflask = ["ab"]\n'
    for lock in (at_the_end, oldest):
        text = locks.as_requirements(app_files(pyproject_toml=project, poetry_lock=lock), "poetry.lock", LINUX)
        assert text == "flask==3.0 --hash=sha256:ab\n"


def test_packages_of_a_lock_from_other_places_keep_their_place():
    lock = (
        '[[package]]\nname = "a"\nversion = "1"\ngroups = ["main"]\nfiles = []\n[package.source]\ntype = "git"\n'
        'url = "git@git.test:team/a.git"\nresolved_reference = "c0ffee"\nsubdirectory = "py"\n'
        '[[package]]\nname = "b"\nversion = "1"\ngroups = ["main"]\nfiles = []\n[package.source]\ntype = "directory"\n'
        'url = "libs/b"\n'
        '[[package]]\nname = "c"\nversion = "1"\ngroups = ["main"]\nfiles = []\n[package.source]\ntype = "legacy"\n'
        'url = "https://index.test/simple"\n'
    )
    read = app_files(pyproject_toml='[tool.poetry.dependencies]\na = "*"\n', poetry_lock=lock)
    assert installed(read) == [
        "--extra-index-url https://index.test/simple",
        "a @ git+ssh://git@git.test/team/a.git@c0ffee#subdirectory=py",
        "b @ ./libs/b",
        "c==1",
    ]
    assert installs_own_code(read)


PDM = '[tool.pdm]\n[project]\nname = "shop"\n'
PDM += 'dependencies = ["flask>=3", "uvicorn[standard]", "tomli; python_version < \'3.11\'"]\n'


def test_a_lock_of_pdm_installs_the_default_group():
    lock = (
        entry("flask", "3.0", 'groups = ["default"]\n')
        + entry("pytest", "8.0", 'groups = ["dev"]\n')
        + entry("tomli", "2.0", 'groups = ["default"]\nmarker = "python_version < \\"3.11\\""\n')
        + entry("uvicorn", "0.30", 'groups = ["default"]\n')
        + entry("uvicorn", "0.30", 'extras = ["standard"]\ngroups = ["default"]\n')
    )
    assert installed(app_files(pyproject_toml=PDM, pdm_lock=lock)) == ["flask==3.0", "uvicorn==0.30"]


def test_an_older_lock_of_pdm_is_followed_from_the_apps_dependencies():
    lock = (
        entry("flask", "3.0", 'dependencies = ["werkzeug>=3", "colorama; sys_platform == \'win32\'"]\n')
        + entry("werkzeug", "3.1")
        + entry("colorama", "0.4")
        + entry("pytest", "8.0")
        + entry("uvicorn", "0.30", 'dependencies = ["click"]\n')
        + entry("uvicorn", "0.30", 'extras = ["standard"]\ndependencies = ["httptools", "uvicorn==0.30"]\n')
        + "".join(entry(name, "1.0") for name in ("click", "httptools", "tomli"))
    )
    read = app_files(pyproject_toml=PDM, pdm_lock=lock)
    assert installed(read) == ["click==1.0", "flask==3.0", "httptools==1.0", "uvicorn==0.30", "werkzeug==3.1"]


PIPFILE_LOCK = {
    "_meta": {"sources": [{"name": "pypi", "url": "https://index.test"}, {"name": "own", "url": "https://own.test"}]},
    "default": {
        "flask": {"version": "==3.0", "hashes": ["sha256:ab"], "index": "pypi"},
        "secret": {"version": "==1.0", "index": "own"},
        "tomli": {"version": "*", "markers": "python_version < '3.11'"},
        "lib": {"git": "https://git.test/lib.git", "ref": "c0ffee"},
        "shop": {"path": ".", "editable": True},
        "again": {"file": "./", "editable": True},
    },
    "develop": {"pytest": {"version": "==8.0"}},
}


def test_a_pipfile_lock_installs_its_default_section():
    read = app_files(Pipfile_lock=json.dumps(PIPFILE_LOCK))
    assert installed(read) == [
        "--extra-index-url https://own.test", "flask==3.0", "lib @ git+https://git.test/lib.git@c0ffee", "secret==1.0"
    ]  # fmt: skip


def test_a_package_that_pipenv_locked_for_another_system_has_no_version():
    older = {**LINUX, "python_version": "3.9", "python_full_version": "3.9.18"}
    assert "tomli" in installed(app_files(Pipfile_lock=json.dumps(PIPFILE_LOCK)), older)
    # Newer versions of Pipenv leave out the marker, too.
    lock = json.dumps({"default": {"colorama": {"version": "*"}, "uvloop": {"version": "*"}}})
    pipfile = """[packages]
colorama = {version = "*", sys_platform = "== 'win32'"}
uvloop = {version = "*", markers = "sys_platform != 'win32'"}
"""
    assert installed(app_files(Pipfile_lock=lock, Pipfile=pipfile)) == ["uvloop"]


def test_a_lock_that_lacks_a_package_for_this_server_is_refused_with_the_command():
    with pytest.raises(ValueError, match=r"poetry\.lock lacks uvicorn.*`poetry lock`"):
        installed(app_files(pyproject_toml=POETRY, poetry_lock=entry("flask", "3.0")))
    with pytest.raises(ValueError, match=r"poetry.lock can't be read: package.0..name is missing.*`poetry lock`"):
        installed(app_files(pyproject_toml=POETRY, poetry_lock='[[package]]\ngroups = ["main"]\n'))


PROJECT = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["flask (>=3.0,<4)"]\n'
POETRY_2, UV = PROJECT + "[tool.poetry]\npackage-mode = false\n", "[tool.uv]\npackage = false\n"
PIPFILE_TEXT = '[packages]\nflask = "*"\n'
PIPFILE = {"Pipfile": PIPFILE_TEXT, "Pipfile_lock": "{}"}


@pytest.mark.parametrize(
    ("expected", "contents"),
    [
        ("poetry.lock", {"pyproject_toml": POETRY_2, "poetry_lock": "", "requirements_txt": ""}),
        ("poetry.lock", {"pyproject_toml": PROJECT, "poetry_lock": ""}),
        ("uv.lock", {"pyproject_toml": PROJECT, "uv_lock": "", "poetry_lock": ""}),
        ("pdm.lock", {"pyproject_toml": PROJECT + "[tool.pdm]\na = 1\n", "uv_lock": "", "pdm_lock": ""}),
        ("uv.lock", {"pyproject_toml": PROJECT + "[tool.uv]\npackage = false\n", "uv_lock": "", "pylock_toml": ""}),
        ("Pipfile.lock", {**PIPFILE, "requirements_txt": ""}),
        ("Pipfile.lock", {"Pipfile_lock": "{}"}),
        *(("requirements.txt", {**files, "requirements_txt": "flask"}) for files in (
            {"poetry_lock": OLD_POETRY_LOCK},
            {"poetry_lock": OLD_POETRY_LOCK, "pyproject_toml": "[tool.ruff]\n"},
            {"pdm_lock": "", "pyproject_toml": '[project]\nname = "shop"\ndependencies = []\n'},
            {"uv_lock": "", "pyproject_toml": '[project]\nname = "shop"\n'},
            {"uv_lock": ""},
            {"Pipfile_lock": "{}"},
            {"Pipfile_lock": "{}", "Pipfile": "[packages]\n"},
        )),
        ("uv.lock", {"uv_lock": "", "pyproject_toml": '[project]\nname = "shop"\n'}),
        ("pylock.toml", {"pylock_toml": "", "requirements_txt": ""}),
        ("requirements.txt", {"requirements_txt": "", "Pipfile": ""}),
    ],
)  # fmt: skip
def test_the_lock_of_the_projects_tool_counts_and_the_other_files_are_named(expected: str, contents: dict[str, str]):
    read = app_files(**contents)
    assert choose(read) == expected
    known = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", "requirements.txt", "Pipfile"}
    together = {expected, "Pipfile" if expected == "Pipfile.lock" else expected}
    assert set(unused(read)) == {name.replace("_", ".") for name in contents} & known - together


@pytest.mark.parametrize("name", ["requirements_lock", "conda-lock_yml", "environment_yml"])
def test_files_of_tools_that_servers_lack_are_named_as_unused(name: str):
    assert unused(app_files(requirements_txt="", **{name: ""})) == [name.replace("_", ".")]


@pytest.mark.parametrize(
    ("reason", "contents"),
    [
        ("the app has uv.lock and poetry.lock", {"pyproject_toml": POETRY_2 + UV, "uv_lock": "", "poetry_lock": ""}),
        ("the app has uv.lock and Pipfile.lock", {**PIPFILE, "pyproject_toml": PROJECT, "uv_lock": ""}),
        ("no poetry.lock: write it with `poetry lock`", {"pyproject_toml": POETRY}),
        ("no Pipfile.lock: write it with `pipenv lock`", {"Pipfile": "[packages]\n"}),
        (r"poetry.lock, .* belongs to, but there is none.*`poetry lock`", {"poetry_lock": OLD_POETRY_LOCK}),
        (r"pdm.lock, .* but it lists no dep", {"pdm_lock": "", "pyproject_toml": '[project]\nname = "shop"\n'}),
        (r"Pipfile.lock, .* belongs to, but it lists no", {"Pipfile": "[packages]\n", "Pipfile_lock": "{}"}),
        ("don't read environment.yml, because they have neither conda nor pixi", {"environment_yml": ""}),
        ("don't read pixi.lock and conda-lock.yml, because", {"pixi_lock": "", "conda-lock_yml": ""}),
        ("run `cp requirements.lock requirements.txt`", {"requirements_lock": ""}),
        ("it needs the line `.`", {"setup_py": ""}),
    ],
)  # fmt: skip
def test_an_app_whose_lock_is_unclear_or_missing_is_refused(reason: str, contents: dict[str, str]):
    with pytest.raises(ValueError, match=reason):
        choose(app_files(**contents))


@pytest.mark.parametrize(
    ("fault", "lock"),
    [
        ("it lacks flask", ""),
        ("it has flask 2.0 instead of >=3.0,<4", entry("flask", "2.0", 'groups = ["main"]\n')),
        ("", entry("Flask", "3.0.3", 'groups = ["main"]\n')),
    ],
)
def test_a_lock_that_does_not_fit_the_apps_dependencies_is_refused_with_the_command(fault: str, lock: str):
    read = app_files(pyproject_toml=PROJECT, poetry_lock=lock)
    if not fault:
        return locks.check(read, "poetry.lock")
    with pytest.raises(ValueError, match=f"poetry.lock doesn't fit pyproject.toml: {fault}.*`poetry lock`"):
        locks.check(read, "poetry.lock")


def test_an_overridden_version_fits():
    project = PROJECT + '[tool.uv]\noverride-dependencies = ["flask==2.0"]\n'
    lock = '[[package]]\nname = "flask"\nversion = "2.0"\nsource = { registry = "https://index.test" }\n'
    locks.check(app_files(pyproject_toml=project, uv_lock=lock), "uv.lock")
    with pytest.raises(ValueError, match=r"uv.lock doesn't fit .*`uv lock`"):
        locks.check(app_files(pyproject_toml=PROJECT, uv_lock=lock), "uv.lock")
