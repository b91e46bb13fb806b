"""Explains that an app lacks a variable, in the words of the packages that read it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from host import own_folder
from host.explain_paths import SET_VARIABLE

_PREFIX = re.compile(r"\benv_prefix['\"]?\s*[=:]\s*['\"](?P<prefix>\w+)['\"]")
_MISSING_FIELD = re.compile(
    r"^(?P<field>\w+)\n  (?:Field required \[type=missing|field required \(type=value_error)", re.M
)
_ADDRESS = "pulumi config set --secret --path env.DATABASE_URL <address>"


def _of_pydantic(match: re.Match[str], app: Path | None) -> str:
    """The sentence for a class of pydantic's settings that lacks values; empty for other classes of pydantic."""
    sources = own_folder.modules(app).values() if app else ()
    prefixes = {found["prefix"] for source in sources for found in _PREFIX.finditer(source.decode(errors="replace"))}
    prefix = prefixes.pop() if len(prefixes) == 1 else ""
    names = [f"{prefix}{field['field']}".upper() for field in _MISSING_FIELD.finditer(match["fields"])]
    if not names:
        return ""
    variables = "the variable" if len(names) == 1 else "the variables"
    return f"The app needs {variables} {' and '.join(names)}: {SET_VARIABLE.format(names[0])}"


# Regular expressions over an app's last lines, and the sentence for each match.
CAUSES: list[tuple[str, str | Callable[[re.Match[str], Path | None], str]]] = [
    (
        r"validation errors? for (?i:\w*(?:settings|config|env)\w*)\n"
        r"(?P<fields>(?:\w+\n  .*\n?(?:    For further .*\n?)?)+)",
        _of_pydantic,
    ),
    (
        r"Config '(?P<name>\w+)' is missing, and has no default",
        f"The app needs the variable {{name}}: {SET_VARIABLE.format('{name}')}",
    ),
    (
        r"(?:\benviron\.get|\bgetenv)\(['\"](?P<name>\w+)['\"]\).*\n(?: +[~^]+\n)?"
        r"(?:Type|Attribute)Error: .*NoneType",
        f"The app needs the variable {{name}}: {SET_VARIABLE.format('{name}')}",
    ),
    (
        r"ArgumentError: Expected string or URL object, got None"
        r"|Could not parse SQLAlchemy URL from (?:given URL )?string ''"
        r"|'SQLALCHEMY_DATABASE_URI' or 'SQLALCHEMY_BINDS' must be set|Please supply the ENGINE value"
        r"|Scheme '://' is unknown",
        "The app has no address of its database. If it reads that from a variable such as DATABASE_URL, set it:"
        f" {_ADDRESS}",
    ),
    (
        r"Can't load plugin: sqlalchemy\.dialects:postgres(?:\n|$)",
        "SQLAlchemy knows addresses that begin with postgresql://, and none with postgres://: set the variable again,"
        f" such as: {_ADDRESS}",
    ),
    (
        r"The session is unavailable because no secret key was set",
        "Flask's SECRET_KEY is empty. If the app reads it from a variable, set that, for example with:"
        " pulumi config set --secret --path env.SECRET_KEY <value>",
    ),
]
