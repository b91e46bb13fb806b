"""Files of tools that are broken, or have another shape than their tool writes."""

from __future__ import annotations

import pytest

from host.packages.project_files import load

PACKAGE = '[[package]]\nname = "a"\nversion = "1"\n'


@pytest.mark.parametrize(
    ("name", "text", "mistake"),
    [
        ("Pipfile.lock", "[]", "the file must be a table, but is a list; write it again with `pipenv lock`"),
        ("Pipfile.lock", '{"default": null}', "default must be a table, but is None"),
        ("Pipfile.lock", '{"default": {"flask": "*"}}', "default.flask must be a table, but is '*'"),
        ("Pipfile.lock", '{"default": {"a": {"git": "u"}}}', "default.a.ref, the commit of the git repository, is"),
        ("Pipfile.lock", '{"_meta": {"sources": [{"name": "a"}]}}', "_meta.sources[0].url is missing"),
        ("uv.lock", 'package = "x"', "package must be a list, but is 'x'; write it again with `uv lock`"),
        ("uv.lock", "[[package]]\n", "package[0].name is missing"),
        ("a/b/uv.lock", "package = [1]", "a/b/uv.lock can't be read: package[0] must be a table, but is 1"),
        ("poetry.lock", PACKAGE + "markers = 1\n", "package[0].markers must be a text or a table, but is 1"),
        ("poetry.lock", PACKAGE + 'source = { type = "git" }\n', "package[0].source.resolved_reference, the commit"),
        ("pdm.lock", PACKAGE + 'git = "u"\n', "package[0].revision, the commit of the git repository, is missing"),
        ("pdm.lock", PACKAGE + 'files = ["a"]\n', "package[0].files[0] must be a table"),
        ("pylock.toml", 'packages = "x"', "packages must be a list"),
        ("pyproject.toml", 'project = "x"', "project must be a table, but is 'x'; correct it"),
        ("pyproject.toml", 'tool = "x"', "tool must be a table"),
        ("pyproject.toml", '[tool]\npoetry = "x"', "tool.poetry must be a table"),
        ("pyproject.toml", '[project]\ndependencies = ["flask", 1]', "dependencies[1] must be a text, but is 1"),
        ("pyproject.toml", '[project]\ndependencies = [""]', "project.dependencies[0] must be a dependency such as"),
        ("pyproject.toml", "[tool.poetry.dependencies]\na = 1", "dependencies.a must be a text or a table or a list"),
        ("Pipfile", 'packages = "x"', "packages must be a table"),
        ("uv.toml", "=", "uv.toml can't be read: "),
        ("uv.lock", "a = 1\n<<<<<<< ours\n", "uv.lock, line 2: '<<<<<<< ours' is left over from a merge conflict"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named_with_place_rule_and_remedy(name: str, text: str, mistake: str):
    with pytest.raises(ValueError) as error:
        load(name, text.encode())
    assert mistake in str(error.value)
    assert str(error.value).startswith(name)


def test_what_no_reader_needs_may_have_any_shape():
    text = "[project]\nversion = 1\n[tool.poetry.dependencies]\n"
    text += 'a = [{version = "1", python = "<3"}, "2"]\n[tool.x]\ny = 1\n'
    assert load("pyproject.toml", text.encode())["tool"]["x"] == {"y": 1}
