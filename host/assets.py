"""Static files of all kept builds whose names have a digest of their content.

During a release, a visitor may get a page of one release and then ask a server with the other release for the page's
stylesheet. If the app has no such file, Nginx looks here (cloud-init/site/assets.conf.j2). The name says what the file
contains. So it is the right one, whichever build made it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from host.paths import Paths

# Django, webpack and Parcel write hexadecimal digests. Nginx gets this rule, too.
NAME = r"[^/]+[.-][0-9a-f]{8,64}\.(?:css|js|mjs|map|svg|png|jpe?g|gif|webp|avif|ico|woff2?|ttf|otf|eot|wasm)"


def publish(paths: Paths, release: Path, app: Path) -> None:
    """Add the files of a finished build, except those of the release itself. They take no space: they are links."""
    for file in _named_by_digest(app):
        if not os.path.lexists(release / file.relative_to(app)):
            paths.assets.mkdir(exist_ok=True)
            with suppress(FileExistsError):
                os.link(file, paths.assets / file.name, follow_symlinks=False)


def prune(paths: Paths) -> None:
    """Remove the files of builds that don't exist any more."""
    for file in paths.assets.glob("*"):
        if file.lstat().st_nlink == 1:
            file.unlink()


def _named_by_digest(app: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(app):
        for name in names:
            path = Path(parent, name)
            if re.fullmatch(NAME, name) and stat.S_ISREG(path.lstat().st_mode):
                yield path
