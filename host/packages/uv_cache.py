"""uv's cache. The code of packages gets no write access to it: it could change the packages of later releases."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from host.packages.isolation import BUILD_USER
from host.paths import Paths

# The folder of unpacked packages. Their files are hard links: virtual environments have the same files.
_UNPACKED = "archive-v*"


def protect(cache: Path) -> None:
    """Give the unpacked packages to root. uv only adds packages."""
    if packages := [str(package) for folder in cache.glob(_UNPACKED) for package in folder.iterdir()]:
        command = ["chown", "--recursive", "--no-dereference", "root:root"]
        subprocess.run(["xargs", "--null", *command], input="\0".join(packages), text=True, check=True)


@contextmanager
def private_copy(paths: Paths, copy: Path) -> Generator[Path]:
    """A copy of the cache that the code of packages may change, for the time of the block.

    Unpacked packages are hard links, which the build user can't change.
    """
    protect(paths.uv_cache)
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    shutil.chown(copy, BUILD_USER, BUILD_USER)
    try:
        for path in paths.uv_cache.iterdir() if paths.uv_cache.is_dir() else ():
            link = ["--link"] if path.match(_UNPACKED) else []
            subprocess.run(["cp", "--archive", *link, str(path), str(copy)], check=True)
        yield copy
    finally:
        shutil.rmtree(copy)
