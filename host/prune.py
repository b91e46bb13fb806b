"""Keeping five releases, and of everything else only what they use."""

from __future__ import annotations

import shutil
from pathlib import Path

from host import web
from host.paths import Paths

KEEP = 5


def prune(paths: Paths, serving: str) -> str:
    """Remove what is older than the newest ``KEEP`` releases; says how many are kept."""
    live = {serving, *web.running()}
    (paths.releases / web.release_of(serving)).touch()  # the newest, also when it was rolled back to
    kept = _newest(paths.releases) | {web.release_of(name) for name in live}
    for instance in _folders(paths.instances):
        if instance.name not in live:
            web.forget(paths, instance.name)
    used = {(folder / "venv").resolve() for folder in _folders(paths.instances)}
    for release in _folders(paths.releases):
        if release.name not in kept:
            shutil.rmtree(release)
    environments = [venv for venv in _folders(paths.venvs) if venv.resolve() not in used]
    for venv in sorted(environments, key=_age)[:-KEEP]:
        shutil.rmtree(venv)
    for upload in paths.incoming.glob("*.tar"):
        if (paths.releases / upload.stem).is_dir():
            upload.unlink()
    for program in paths.incoming.glob("host-*.pyz"):
        if program != paths.program.resolve():
            program.unlink()
    return f"{len(kept)} kept"


def _newest(releases: Path) -> set[str]:
    return {folder.name for folder in sorted(_folders(releases), key=_age)[-KEEP:]}


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return [entry for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith(".")]


def _age(folder: Path) -> float:
    return folder.stat().st_mtime
