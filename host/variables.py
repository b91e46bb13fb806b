"""Variables that an app can't have, because systemd also gives them to the programs of root in the app's units."""

from __future__ import annotations

import re
from collections.abc import Mapping

from host.errors import ReleaseError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The C library loads or writes files by these: https://man7.org/linux/man-pages/man8/ld.so.8.html
_REFUSED = (
    "GCONV_PATH",
    "LD_AUDIT",
    "LD_DEBUG",
    "LD_DEBUG_OUTPUT",
    "LD_ORIGIN_PATH",
    "LD_PROFILE",
    "LD_PROFILE_OUTPUT",
    "LOCPATH",
)
_LIBRARIES = {"LD_PRELOAD": re.compile(r"[:\s]+"), "LD_LIBRARY_PATH": re.compile("[:;]")}
# Only root writes there.
_OF_ROOT = ("/usr/", "/lib/", "/lib64/")
# systemd sets it, and puts it into the commands that root runs to stop a unit. The app's value would win.
_OF_COMMANDS = ("MAINPID",)


def mistake(name: str, value: str) -> str | None:
    """Why the app can't have this variable; None if it can."""
    if name in _REFUSED:
        return "programs of root, which start and stop the app, would obey it: leave it out"
    if name in _OF_COMMANDS:
        return "programs of root would stop the process with this id in place of the app's: leave it out"
    if separator := _LIBRARIES.get(name):
        is_preload = name == "LD_PRELOAD"
        places = separator.split(value)
        # An empty place in LD_LIBRARY_PATH is the current folder. In LD_PRELOAD it means nothing.
        if not all(_is_of_root(place, may_be_name=is_preload) for place in places if place or not is_preload):
            return (
                "programs of root, which start and stop the app, load these libraries, too, so they must be below"
                " /usr: install a library with the setting aptPackages"
            )
    return None


def require_possible(variables: Mapping[str, object]) -> None:
    """Raises ReleaseError for a name or a value that the app can't have: the login for releases may send any."""
    for name, value in variables.items():
        if not _NAME.fullmatch(name) or not isinstance(value, str):
            raise ReleaseError(
                f"the variable {name!r} has a name that no variable can have, or a value that isn't text"
            )
        if broken := mistake(name, value):
            raise ReleaseError(f"the variable {name} can't be set: {broken}")


def _is_of_root(place: str, *, may_be_name: bool) -> bool:
    if "/" not in place:
        # The loader looks for a name in its own folders and in those of LD_LIBRARY_PATH.
        return may_be_name and "$" not in place
    return place.startswith(_OF_ROOT) and ".." not in place.split("/") and "$" not in place
