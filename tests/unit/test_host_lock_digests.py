"""Whether a lock was made from the project file that the app has. The digests are those of the real tools."""

from __future__ import annotations

import json

import pytest

from host.packages.lock_digests import note
from host.packages.requirements import Read

POETRY = (
    '[tool.poetry.dependencies]\npython = "^3.9"\nflask = "^3.0"\n[tool.poetry.group.dev.dependencies]\npytest = "*"\n'
)
PROJECT = (
    '[project]\nname = "shop"\nrequires-python = ">=3.10"\ndependencies = ["flask>=3"]\n'
    '[dependency-groups]\ndev = ["pytest"]\n[tool.poetry]\npackage-mode = false\n'
)
SOURCE = {"name": "own", "url": "https://index.example/simple", "verify_ssl": True}
SOURCE_TABLE = '[[source]]\nname = "own"\nurl = "https://index.example/simple"\nverify_ssl = true\n'
PIPFILE = '[packages]\nflask = "*"\n[docs]\nrich = "*"\n[requires]\npython_version = "3.13"\n'
OF_POETRY = "b89cd4c426c423adb69a778919c789020dbf2100176d1135a28c6c32734fdd97"
OF_PROJECT = "9f8673b226d20568e991e09229ddd0f2ddc69b2db386fcd549faa9eca9a628c1"
OF_PROJECT_BEFORE_2_3 = "e5c09ec29cb4a16d27f7103ad938b280a09ab38d22229cbfddd931885a7acd43"
OF_PIPFILE = "d272de0571650b77c72a4dfcae3bb77ab1fd6431957955ecb88f42ecd29bea84"


def app(file: str, text: str, digest: str) -> tuple[Read, str]:
    """An app with a lock of this digest, and the lock's name."""
    if file == "Pipfile":
        lock, content = (
            "Pipfile.lock",
            json.dumps({"_meta": {"hash": {"sha256": digest}, "sources": [SOURCE]}, "default": {}}),
        )
    else:
        lock, content = "poetry.lock", f'[metadata]\ncontent-hash = "{digest}"\n'
    return {file: text.encode(), lock: content.encode()}.get, lock


@pytest.mark.parametrize(
    ("file", "text", "digest", "command"),
    [
        ("pyproject.toml", POETRY, OF_POETRY, "poetry lock"),
        ("pyproject.toml", PROJECT, OF_PROJECT, "poetry lock"),
        ("pyproject.toml", PROJECT, OF_PROJECT_BEFORE_2_3, "poetry lock"),
        ("Pipfile", SOURCE_TABLE + PIPFILE, OF_PIPFILE, "pipenv lock"),
        # The lock has the source that Pipenv takes if the Pipfile has none.
        ("Pipfile", PIPFILE, OF_PIPFILE, "pipenv lock"),
    ],
)
def test_a_lock_of_another_project_file_is_said_with_the_command(file: str, text: str, digest: str, command: str):
    assert note(*app(file, text, digest)) == ""
    sentence = note(*app(file, text.replace("flask", "bottle"), digest))
    assert sentence.startswith(f"{file} has changed since")
    assert f"`{command}`" in sentence


def test_settings_of_other_tools_do_not_count():
    assert note(*app("pyproject.toml", f"{POETRY}[tool.ruff]\nline-length = 99\n", OF_POETRY)) == ""
    assert note(*app("Pipfile", f"{PIPFILE}[scripts]\nx = 'y'\n", OF_PIPFILE)) == ""


def test_a_lock_without_a_digest_or_of_another_tool_gets_no_note():
    assert note({"pyproject.toml": POETRY.encode(), "poetry.lock": b""}.get, "poetry.lock") == ""
    assert note({"Pipfile.lock": b"{}"}.get, "Pipfile.lock") == ""
    assert note({}.get, "uv.lock") == ""
