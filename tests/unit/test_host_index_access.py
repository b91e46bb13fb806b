from __future__ import annotations

import pytest

from host.errors import ReleaseError
from host.packages import index_access
from host.packages.requirements import LIST, POETRY_LOCK, PROJECT
from tests.unit.app_files import app_files

POETRY = """
[[package]]
name = "shop"
version = "1"
[package.source]
type = "legacy"
url = "https://packages.test/simple"
reference = "our-own"
"""


@pytest.mark.parametrize(
    ("name", "value", "name_for_uv"),
    [
        ("UV_INDEX", "own=https://packages.test", "UV_INDEX"),
        ("UV_INDEX_OWN_PASSWORD", "hunter2", "UV_INDEX_OWN_PASSWORD"),
        ("PIP_EXTRA_INDEX_URL", "https://me:hunter2@packages.test", "UV_INDEX"),
        ("PIP_INDEX_URL", "https://packages.test", "UV_DEFAULT_INDEX"),
        ("PIP_FIND_LINKS", "https://packages.test", "UV_FIND_LINKS"),
        ("PIP_TRUSTED_HOST", "packages.test", "UV_INSECURE_HOST"),
    ],
)
def test_uv_gets_the_variables_that_name_package_registries(name: str, value: str, name_for_uv: str):
    assert index_access.for_uv({name: value}, app_files(), LIST) == {name_for_uv: value}


@pytest.mark.parametrize("name", ["SECRET_KEY", "UV_CACHE_DIR", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT", "HOME"])
def test_uv_gets_no_other_variables(name: str):
    assert index_access.for_uv({name: "x"}, app_files(), LIST, "flask\n") == {}


def test_uvs_own_variable_wins_over_pips():
    variables = {"UV_INDEX": "https://one.test", "PIP_EXTRA_INDEX_URL": "https://other.test"}
    assert index_access.for_uv(variables, app_files(), LIST) == {"UV_INDEX": "https://one.test"}


def test_uv_gets_the_variables_that_a_list_of_packages_or_the_project_names():
    dependencies = 'dependencies = ["lib @ git+https://${PROJECT_TOKEN}@git.test/lib"]\n'
    read = app_files(pyproject_toml=f'[project]\nname = "shop"\n{dependencies}[tool.poe.tasks]\na = "${{TASK}}"\n')
    text = "lib @ git+https://${TOKEN}@git.test/lib#egg=lib # ${BEHIND}\n# ${UNUSED}\nflask ${lower}\n"
    variables = {name: "x" for name in ("TOKEN", "PROJECT_TOKEN", "UNUSED", "BEHIND", "TASK", "lower")}
    assert set(index_access.for_uv(variables, read, PROJECT, text)) == {"TOKEN", "PROJECT_TOKEN"}


def test_a_variable_that_a_list_names_and_nobody_sets_is_found():
    assert index_access.unset({"USER": "me"}, "--index-url https://${USER}:${TOKEN}@packages.test\n") == ["TOKEN"]


def test_several_places_of_pip_are_separated_as_uv_wants_it():
    found = index_access.for_uv({"PIP_FIND_LINKS": "https://a.test https://b.test"}, app_files(), LIST)
    assert found == {"UV_FIND_LINKS": "https://a.test,https://b.test"}


def test_poetrys_logins_are_for_the_sources_of_its_lock():
    logins = {"POETRY_HTTP_BASIC_OUR_OWN_USERNAME": "me", "POETRY_HTTP_BASIC_OUR_OWN_PASSWORD": "hunter2"}
    read = app_files(poetry_lock=POETRY)
    expected = {
        "UV_INDEX": "our-own=https://packages.test/simple",
        "UV_INDEX_OUR_OWN_USERNAME": "me",
        "UV_INDEX_OUR_OWN_PASSWORD": "hunter2",
    }
    assert index_access.for_uv(logins, read, POETRY_LOCK) == expected
    assert index_access.for_uv(logins, read, LIST) == index_access.for_uv({}, read, POETRY_LOCK) == {}


@pytest.mark.parametrize(
    "name", ["GIT_SSH_COMMAND", "GIT_CONFIG_COUNT", "PATH", "PYTHONPATH", "UV_PYTHON", "SSH_ASKPASS"]
)
def test_a_list_of_packages_cant_steer_the_programs_that_install_them(name: str):
    # git would run the program of GIT_SSH_COMMAND while uv's cache can be written to.
    text = f"lib @ git+ssh://git@git.test/lib#${{{name}}}x\n"
    with pytest.raises(ReleaseError, match=rf"requirements.txt names \$\{{{name}\}}, .* give it another name"):
        index_access.for_uv({name: "./run"}, app_files(), LIST, text)


def test_logins_may_have_the_names_of_their_programs():
    text = "lib @ git+https://${GIT_USER}:${GIT_TOKEN}@git.test/lib\n"
    variables = {"GIT_USER": "me", "GIT_TOKEN": "x"}
    assert index_access.for_uv(variables, app_files(), LIST, text) == variables
