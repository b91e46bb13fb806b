"""A package as a lock file names it: name, exact version or place, and hashes."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Package:
    """One package of a lock. ``place`` is a URL or a path if it doesn't come from a package registry.

    ``version`` is empty if the lock has none, which only Pipenv's may.

    ``index`` is the URL of a package registry besides the server's own, if the lock names one for this package.
    """

    name: str
    version: str = ""
    place: str = ""
    hashes: tuple[str, ...] = ()
    index: str = ""

    def line(self) -> str:
        """The line of a requirements file that installs this package; the newest one if the lock has no version."""
        pin = f"=={self.version}" if self.version else ""
        requirement = f"{self.name} @ {self.place}" if self.place else f"{self.name}{pin}"
        return " ".join((requirement, *(f"--hash={digest}" for digest in sorted(set(self.hashes)))))


def normalized(name: str) -> str:
    """A package's name as registries compare it: ``Flask_Login`` is ``flask-login``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def git_place(url: str, commit: str, subdirectory: str = "") -> str:
    """The place of a package in a git repository. ``git@host:path`` is git's short form of an ssh URL."""
    if "://" not in url and (match := re.match(r"([\w.-]+@[\w.-]+):(.*)", url)):
        url = f"ssh://{match[1]}/{match[2]}"
    folder = f"#subdirectory={subdirectory}" if subdirectory else ""
    return f"git+{url.removeprefix('git+')}@{commit}{folder}"


def own_place(path: str) -> str:
    """The place of a package in the app's folder."""
    return path if path.startswith(("./", "../", "/")) else f"./{path}"


def text(packages: list[Package]) -> str:
    """The requirements file that installs these packages."""
    indexes = sorted({package.index for package in packages if package.index})
    lines = [*(f"--extra-index-url {index}" for index in indexes), *sorted(package.line() for package in packages)]
    return "".join(f"{line}\n" for line in lines)
