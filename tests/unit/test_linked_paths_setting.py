"""The settings ``linkedPaths`` and ``linkedPathsPerServer``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stack_settings import mistakes, read


def test_linked_paths_are_relative_to_the_app(root: Path):
    linked = read(root, linkedPaths=["media/", "./shop/db.sqlite3", "instance"]).linked_paths
    assert linked == ("media/", "shop/db.sqlite3", "instance")


@pytest.mark.parametrize(
    ("linked", "rule"),
    [
        ({}, "linkedPaths must be a list; set a path with: pulumi config set --path 'linkedPaths[0]' <path>"),
        (["/media"], "linkedPaths[0] is '/media', but must be relative to the app's folder"),
        (["a/../../b"], "must be relative to the app's folder, without .."),
        (["."], "must be relative"),
        ([7], "linkedPaths[0] is 7, but must be a path"),
        (["$HOME/media"], "'$' has no special meaning here: name one file or folder"),
        (["media/*"], "'*' has no special meaning here"),
        (["~/media"], "'~' has no special meaning here: name one file or folder"),
        (["media/[ab]"], "'[' has no special meaning here"),
        (["ab]"], "']' has no special meaning here"),
        (["{media,files}"], "'{' has no special meaning here"),
        (["files}"], "'}' has no special meaning here"),
        (["media\\photos"], "but '\\' has no special meaning here: name one file or folder, with / between folders"),
        (["a\nb"], "must be a path"),
        (["media", "media/"], "linkedPaths[1] is 'media/', but media is linked already"),
        (["media", "media/a"], "one of media and media/a contains the other"),
        (["media/a", "media"], "one of media/a and media contains the other"),
        (["Procfile"], "Gantry needs this file as the release has it"),
        (["requirements.txt"], "set it with: pulumi config set --path 'linkedPaths[0]' <path>"),
    ],
)
def test_the_error_for_a_linked_path_has_its_rule(root: Path, linked: object, rule: str):
    assert rule in mistakes(root, linkedPaths=linked)


def test_linked_paths_of_several_servers_are_refused_unless_they_are_confirmed(root: Path):
    text = mistakes(root, linkedPaths=["media", "db.sqlite3"], servers=2)
    assert "each of 2 servers would have its own files" in text
    assert "pulumi config rm linkedPaths; or accept it with: pulumi config set linkedPathsPerServer true" in text
    confirmed = read(root, linkedPaths=["media"], linkedPathsPerServer=True, servers=2)
    assert confirmed.linked_paths == ("media",)
