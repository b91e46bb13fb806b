"""The base image of the local target is complete and is built once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.local import image, store
from components.local.computer import LocalError

pytestmark = pytest.mark.machine


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base_image: str) -> Iterator[Path]:
    """An empty folder in place of the one with this computer's images."""
    monkeypatch.setattr(store, "IMAGES", tmp_path / "images")
    yield tmp_path / "images"


def test_an_incomplete_image_build_is_never_used(images: Path, monkeypatch: pytest.MonkeyPatch):
    killed_build = images / ".building-000000000000/root"
    killed_build.mkdir(parents=True)
    monkeypatch.setattr(image, "bootstrap_command", lambda *_: ["sh", "-c", "echo no such mirror; exit 1"])
    with pytest.raises(LocalError, match="no such mirror"):
        image.ensure(lambda _: None)
    assert not list(images.iterdir())


def test_concurrent_callers_build_the_image_once(images: Path, monkeypatch: pytest.MonkeyPatch):
    builds: list[str] = []

    def build(recipe: image.Recipe, _: image.Progress) -> None:
        builds.append(recipe.digest)
        time.sleep(0.5)
        image.root_of(recipe.digest).mkdir(parents=True)

    monkeypatch.setattr(image, "_build", build)
    threads = [threading.Thread(target=image.ensure, args=(lambda _: None,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1
    assert image.prune(set()) == builds
