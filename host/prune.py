"""Keeping five releases, and of everything else only what they use."""

from __future__ import annotations

import shutil
from pathlib import Path

from host import files, processes, serving, web
from host.paths import Paths

KEEP = 5
# Uploads of releases that failed, or that wait for their turn.
KEEP_UPLOADS = 10


def prune(paths: Paths, instance: str) -> str:
    """Remove what is older than the newest ``KEEP`` releases; says how many are kept."""
    live = {instance, *serving.needed(paths), *web.running(), *processes.in_use()}
    (paths.releases / web.release_of(instance)).touch()  # the newest, also when it was rolled back to
    kept = {*serving.kept(paths)[-KEEP:], *(web.release_of(name) for name in live)}
    for folder in _folders(paths.instances):
        if folder.name not in live:
            web.forget(paths, folder.name)
    processes.forget(paths)
    _keep_only(paths.releases, kept)
    # The packages of every kept release stay, so that going back to it asks no registry.
    for link in paths.venv_links.glob("*"):
        if link.name not in kept:
            link.unlink()
    used = [*paths.venv_links.glob("*"), *(paths.instances / name / "venv" for name in live)]
    _keep_only(paths.venvs, {link.resolve().name for link in used})
    uploads = sorted(paths.incoming.glob("*.tar"), key=lambda upload: upload.stat().st_mtime)
    unpacked = [upload for upload in uploads if (paths.releases / upload.stem).is_dir()]
    # Those that failed are tried again at the most; the newest may be another's, on its way to be released.
    for upload in {*unpacked, *uploads[:-KEEP_UPLOADS]}:
        upload.unlink()
    for program in paths.incoming.glob("host-*.pyz"):
        if program != paths.program.resolve():
            program.unlink()
    return f"{len(kept)} kept"


def _keep_only(parent: Path, names: set[str]) -> None:
    for folder in _folders(parent):
        if folder.name not in names:
            files.remove_tree(folder)
    for interrupted in parent.glob(".*"):
        shutil.rmtree(interrupted)


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return [entry for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
