from __future__ import annotations

import pytest

from host.packages.requirements import choose, installs_own_code
from tests.unit.app_files import app_files

PROJECT = '[project]\nname = "shop"\nrequires-python = ">=3.11"\ndependencies = ["flask"]\n'
LOCK = '[[package]]\nname = "shop"\nsource = { virtual = "." }\n'


def test_a_lock_comes_before_a_requirements_file_and_that_before_the_project_file():
    assert choose(app_files(uv_lock=LOCK, requirements_txt="", pyproject_toml=PROJECT)) == "uv.lock"
    assert choose(app_files(requirements_txt="", pyproject_toml=PROJECT)) == "requirements.txt"
    assert choose(app_files(pyproject_toml=PROJECT)) == "pyproject.toml"


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ({}, "add a requirements.txt"),
        ({"pyproject_toml": "[tool.ruff]\n"}, r"no pyproject.toml with a \[project\]"),
        ({"uv_lock": LOCK}, "has uv.lock, but no pyproject.toml"),
        ({"uv_lock": LOCK, "pyproject_toml": "[tool.ruff]\n"}, "has uv.lock, but no pyproject.toml"),
        ({"pyproject_toml": '[project]\nname = "a"\ndynamic = ["dependencies"]\n'}, "dynamic"),
        ({"pyproject_toml": "[project\n"}, "pyproject.toml can't be read: "),
    ],
)
def test_an_app_without_usable_requirements_is_refused_with_the_remedy(contents: dict[str, str], reason: str):
    with pytest.raises(ValueError, match=reason):
        choose(app_files(**contents))


@pytest.mark.parametrize(
    ("expected", "contents"),
    [
        (False, {"uv_lock": LOCK}),
        (False, {"uv_lock": '[[package]]\nname = "shop"\nsource = { editable = "." }\n'}),
        (True, {"uv_lock": LOCK + '[[package]]\nname = "lib"\nsource = { directory = "lib" }\n'}),
        (True, {"uv_lock": LOCK + '[[package]]\nname = "lib"\nsource = { editable = "packages/lib" }\n'}),
        (True, {"uv_lock": LOCK + '[[package]]\nname = "lib"\nsource = { path = "lib-1.whl" }\n'}),
        (False, {"pyproject_toml": PROJECT}),
        (True, {"pyproject_toml": PROJECT + '[tool.uv.sources]\nflask = { path = "flask" }\n'}),
        (True, {"pyproject_toml": PROJECT + '[tool.uv.sources]\nflask = [{ path = "flask" }]\n'}),
        (False, {"pyproject_toml": PROJECT + '[tool.uv.sources]\nflask = { git = "https://git.test/flask" }\n'}),
        (True, {"pyproject_toml": PROJECT + "[tool.uv.sources]\nlib = { workspace = true }\n"}),
        (True, {"pyproject_toml": PROJECT + '[tool.uv]\nfind-links = ["wheels"]\n'}),
        (True, {"pyproject_toml": PROJECT + '[[tool.uv.index]]\nurl = "wheels"\nformat = "flat"\n'}),
        (False, {"pyproject_toml": PROJECT + '[[tool.uv.index]]\nurl = "https://index.test/simple"\n'}),
        (True, {"requirements_txt": "lib\n", "uv_toml": '[pip]\nfind-links = ["wheels"]\n'}),
        (False, {"requirements_txt": "lib\n"}),
    ],
)
def test_packages_in_the_apps_own_folder_are_recognized(expected: bool, contents: dict[str, str]):
    assert installs_own_code(app_files(**{"pyproject_toml": PROJECT, **contents})) is expected
