"""Modules that Python itself has, or had, and what to do if the app's Python lacks one. No package brings them."""

from __future__ import annotations

import sys
from collections.abc import Callable

from host.packages import python_versions
from host.packages.requirements import Read

# The modules of Python's library that were removed, with the last version that has them.
_REMOVED = {
    **dict.fromkeys(("asynchat", "asyncore", "distutils", "imp", "smtpd"), "3.11"),
    **dict.fromkeys(("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap"), "3.12"),
    **dict.fromkeys(("msilib", "nis", "nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau"), "3.12"),
    **dict.fromkeys(("telnetlib", "uu", "xdrlib"), "3.12"),
}
# Packages with the same modules.
_REPLACED = {"audioop": "audioop-lts", "cgi": "legacy-cgi", "distutils": "setuptools"}
# Modules that only newer versions have, with the first one.
_ADDED = {"graphlib": "3.9", "tomllib": "3.11", "zoneinfo": "3.9"}
_OF_WINDOWS = (
    "msvcrt",
    "pythoncom",
    "pywintypes",
    "win32api",
    "win32com",
    "win32con",
    "win32gui",
    "winreg",
    "winsound",
)
_OF_SCREENS = ("_tkinter", "idlelib", "tkinter", "turtle")


def remedy(module: str, read: Read, add: Callable[[str], str]) -> str:
    """The sentence for a module that the app's Python doesn't find; empty if packages may have it.

    ``read`` reads the app's files. ``add`` returns the words that tell how to add a package.
    """
    top = module.partition(".")[0]
    if last := _REMOVED.get(top):
        package = _REPLACED.get(top)
        other = f", or {add(package)}" if package else ""
        return (
            f"Python has no module {top} since {_next(last)}: update the package that imports it, or write"
            f" {_version(last, read)}{other}."
        )
    if first := _ADDED.get(top):
        return f"Python has the module {top} since {first}: write {_version(first, read)}, or a newer version."
    if top in _OF_WINDOWS:
        return f"Only Windows has the module {top}: import it only there."
    if top in _OF_SCREENS:
        return f"The module {top} needs a screen, which a server doesn't have: take its import out of the app."
    if top in sys.stdlib_module_names:
        return (
            f"The module {top} is a part of Python, but this Python was built without it, and no package has it:"
            f" choose another version of Python in {python_versions.VERSION_FILE}."
        )
    return ""


def _next(version: str) -> str:
    major, minor = version.split(".")
    return f"{major}.{int(minor) + 1}"


def _version(version: str, read: Read) -> str:
    """The words that name a version, and the file to write it into."""
    if read(python_versions.RUNTIME) is not None:
        return f"python-{version} into {python_versions.RUNTIME}"
    return f"{version} into {python_versions.VERSION_FILE}"
