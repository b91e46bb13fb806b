"""Django's collectstatic: the build of a Django app whose Procfile has no `build` line, as on Heroku."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from host.packages import venv

OFF = "DISABLE_COLLECTSTATIC"
# Heroku finds a manage.py at this depth, too.
DEPTH = 3
REMEDY = (
    "Gantry runs collectstatic for a Django app: fix the error, name another command in a `build` line of the"
    f" Procfile, or turn it off with: pulumi config set --path env.{OFF} 1"
)
# https://github.com/django/django/blob/main/django/contrib/staticfiles/storage.py
_NO_STATIC_ROOT = re.compile(r"ImproperlyConfigured: .*\bSTATIC_ROOT\b")
_NO_COMMAND = "Unknown command: 'collectstatic'"
# Django's settings couldn't be found, and so its apps' commands are unknown, too.
_NO_SETTINGS = "No Django settings specified"


def command(release: Path, venv_folder: Path, variables: Mapping[str, str]) -> str | None:
    """The command that collects the static files of the unpacked release; None if it isn't a Django app.

    It is also None if the variable DISABLE_COLLECTSTATIC turns it off.
    """
    manage = _manage(release)
    if manage is None or variables.get(OFF, "0") not in ("", "0") or not venv.has_package(venv_folder, "django"):
        return None
    return command_of(manage)


def command_of(manage: str) -> str:
    """The command that collects the static files, given the relative path of manage.py."""
    return f"python {shlex.quote(manage)} collectstatic --noinput"


def nothing_to_collect(output: str) -> str | None:
    """Why a failed collectstatic is no error, by its output; None if it is one."""
    if _NO_STATIC_ROOT.search(output):
        return "no collectstatic, because Django's settings have no STATIC_ROOT"
    if _NO_COMMAND in output and _NO_SETTINGS not in output:
        return "no collectstatic, because django.contrib.staticfiles isn't in INSTALLED_APPS"
    return None


def _manage(release: Path) -> str | None:
    """The relative path of the manage.py that is the nearest to the top."""
    found = (path.relative_to(release) for depth in range(DEPTH) for path in release.glob("*/" * depth + "manage.py"))
    return next((str(path) for path in found), None)
