from __future__ import annotations

import hashlib
import re
from pathlib import Path

from tests.plugin.client import LOCAL, SIGNATURE, Plugin


def _files(folder: Path) -> None:
    for name in ("assets/logos/logo.svg", "src/index.js", "src/secret.js", "src/deep/more.js", "note.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_asset_paths_collect_files_by_pattern(plugin: Plugin, tmp_path: Path) -> None:
    _files(tmp_path)
    patterns = ["assets/**", "src/**.js", "!**secret.*"]
    state = plugin.create(LOCAL, {"create": "true", "dir": str(tmp_path), "assetPaths": patterns}).state
    assert set(state["assets"]) == {"assets/logos/logo.svg", "src/index.js", "src/deep/more.js"}
    logo = state["assets"]["assets/logos/logo.svg"]
    assert logo["path"] == str(tmp_path / "assets/logos/logo.svg")
    assert logo["hash"] == hashlib.sha256(b"assets/logos/logo.svg").hexdigest()
    # Members that aren't set are empty.
    assert (logo["text"], logo["uri"]) == ("", "")


def test_a_star_stops_at_a_slash(plugin: Plugin, tmp_path: Path) -> None:
    _files(tmp_path)
    patterns = ["src/*.js", "*.{txt,md}", "not?.txt"]
    state = plugin.create(LOCAL, {"create": "true", "dir": str(tmp_path), "assetPaths": patterns}).state
    assert set(state["assets"]) == {"src/index.js", "src/secret.js", "note.txt"}


def test_archive_paths_collect_files_in_one_archive(plugin: Plugin, tmp_path: Path) -> None:
    _files(tmp_path)
    inputs = {"create": "echo new > src/made.js", "dir": str(tmp_path), "archivePaths": ["src/*"]}
    archive = plugin.create(LOCAL, inputs).state["archive"]
    assert archive[SIGNATURE] == "0def7320c3a5731c473e5ecbe6d01bc7"
    assert set(archive["assets"]) == {"src/index.js", "src/secret.js", "src/made.js"}
    assert re.fullmatch(r"[0-9a-f]{64}", archive["hash"])
    assert (archive["path"], archive["uri"], archive["assets"]["src/made.js"]["text"]) == ("", "", "")


def test_without_patterns_there_are_no_assets(plugin: Plugin) -> None:
    assert not {"assets", "archive"} & set(plugin.create(LOCAL, {"create": "true"}).state)


def test_run_also_collects_files(plugin: Plugin, tmp_path: Path) -> None:
    result = plugin.run({"command": "echo x > made", "dir": str(tmp_path), "assetPaths": ["m*"]})
    assert set(result["assets"]) == {"made"}
