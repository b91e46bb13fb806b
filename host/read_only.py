"""Explains that an app couldn't write a file: which path of the app it is, and how the app may write there."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from host import own_folder
from host.paths import Paths

_PATHS = Paths()
# Where the app may write.
DATA = _PATHS.app_home
# The folders under which an app may know its own folder.
_APP = re.compile(
    rf"^(?:{_PATHS.releases}/[^/]+|{_PATHS.builds}/[^/]+/app|{_PATHS.phase_copies}/[^/]+"
    rf"|(?:{_PATHS.deployments}|{_PATHS.processes})/[^/]+/app)(?:/|$)"
)
_QUOTED = r"['\"\u2018](?P<path>[^'\"\u2019\n]+)['\"\u2019]"
# Files of the system, which an app reads. Another sentence is about /run.
_SYSTEM = re.compile("/(?:etc|proc|sys|dev|root|boot|usr|run|var/run)(?:/|$)")
# SQLite writes these files beside a database.
_JOURNAL = re.compile(r"-(?:journal|wal|shm)$")
# The file in sqlite3.connect("shop.db") and in sqlite:///./shop.db.
_NAMED_DATABASE = re.compile(
    r"""(?:\bconnect\(\s*['"]|sqlite(?:\+\w+)?:///)(?P<path>(?:\./)?\w[\w/-]*\.(?:db|sqlite3?))\b"""
)
# Flask's instance folder of an app that is installed as a package.
_INSTALLED_INSTANCE = re.compile(rf"^{_PATHS.venvs}/[^/]+/var/[^/]+-instance")
LINK = "pulumi config set --path 'linkedPaths[0]' {}"
# A number that is in use would replace another path.
_NEXT = "with the next free number if linkedPaths has paths already"

# Python and Node; commands such as mkdir and touch; bash, tee and Go; uWSGI; dash.
READ_ONLY = (
    rf"[Rr]ead-only file system(?::|, \w+) (?:\w+\(|b)?{_QUOTED}",
    rf"{_QUOTED}: Read-only file system",
    r"(?:^|[ \n])(?!\w*(?:[Ee]rror|Exception|EROFS):)(?P<path>[^\s:'\"\u2018\u2019]+): [Rr]ead-only file system(?! \()",
    r"\w\(\"(?P<path>[^\"\n]+)\"\): Read-only file system",
    r"cannot create (?P<path>\S+): Permission denied",
)
# Programs that don't name the path, such as those in Rust.
WITHOUT_PATH = r"[Rr]ead-only file system"
# Gunicorn, if it can't create its Unix socket.
SOCKET = r"connection to (?P<path>\S+) failed: \[Errno (?:2|13|30)\]"
DENIED = rf"PermissionError: \[Errno 13\] Permission denied: {_QUOTED}"
DATABASE = r"attempt to write a readonly database|unable to open database file"


def explain_path(match: re.Match[str], app: Path | None) -> str:
    """The sentence for a path that is read-only."""
    path = match["path"]
    relative = relative_to_app(path)
    if _INSTALLED_INSTANCE.match(path):
        return (
            "Flask looks for the instance folder of an installed app among its packages, which are read-only: create"
            f" the app with Flask(__name__, instance_path={str(_PATHS.app_home / 'instance')!r})."
        )
    if relative is None:
        return f"The app can't write to {path}: let it write to a path below {_PATHS.app_home}."
    return _sentence(f"writes to {relative}", _to_link(relative, app))


def explain_without_path(match: re.Match[str], _: Path | None) -> str:
    """The sentence for an error that doesn't name the path; empty if another line does."""
    known = any(re.search(pattern, match.string) for pattern in (*READ_ONLY, SOCKET))
    return "" if known else _sentence("writes a file there", "<its path>")


def explain_denied(match: re.Match[str], app: Path | None) -> str:
    """The same for a path that the app's user can't write to; empty for one that the app may have wanted to read."""
    return "" if _SYSTEM.match(match["path"]) else explain_path(match, app)


def explain_database(match: re.Match[str], app: Path | None) -> str:
    """The sentence for a SQLite database, whose error doesn't name the file."""
    found = sorted(path.name for suffix in ("sqlite3", "sqlite", "db") for path in (app or Path()).glob(f"*.{suffix}"))
    if app and not found:
        found = ["db.sqlite3"] if (app / "manage.py").exists() else _named_databases(app)
    name = found[0] if app and found else "<its path>"
    return _sentence("has a SQLite database there", name)


def _named_databases(app: Path) -> list[str]:
    """The path of the SQLite database that the app's modules name; empty if they name none or several."""
    sources = [source.decode(errors="replace") for source in own_folder.modules(app).values()]
    found = {os.path.normpath(match["path"]) for source in sources for match in _NAMED_DATABASE.finditer(source)}
    return [*found] if len(found) == 1 else []


def outside_of_a_build(text: str) -> str:
    """The sentence for a build that writes to a path outside of the app's folder; empty if it doesn't."""
    for pattern in (*READ_ONLY, DENIED):
        for match in re.finditer(pattern, text):
            if relative_to_app(match["path"]) is None:
                return (
                    f"A build may write only to the app's folder, and not to {match['path']}: write to a path in it,"
                    " for Django with STATIC_ROOT = BASE_DIR / 'staticfiles'."
                )
    return ""


def relative_to_app(path: str) -> str | None:
    """The path relative to the app's folder; None if it is outside of it."""
    if not path.startswith("/"):
        return str(PurePosixPath(path))
    return (path[match.end() :] or ".") if (match := _APP.match(path)) else None


def _to_link(relative: str, app: Path | None) -> str:
    """What to link so that the app can write to the path: a folder, unless that has code, too."""
    path = PurePosixPath(_JOURNAL.sub("", relative))
    for folder in reversed(path.parents[:-1]):
        if app is None or not (app / folder).exists() or not any((app / folder).glob("**/*.py")):
            return str(folder)
    return str(path)


def _sentence(action: str, to_link: str) -> str:
    return (
        f"The app {action}, and its folder is read-only: let it write below {_PATHS.app_home}, or keep the path there"
        f" with: {LINK.format(to_link)} ({_NEXT}). If each release makes the file anew,"
        " make it in a `build` line of the Procfile."
    )
