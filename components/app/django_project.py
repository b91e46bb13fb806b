"""Finds the app of a Django project by its manage.py and its settings. Nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Mapping

from components.app import asgi_server
from components.app.app_object import Kind
from components.app.app_target import Files, Target, dotted_name
from components.errors import UserError

_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")
# A module may be a package, such as saleor/wsgi/__init__.py.
_MODULES = ("/wsgi.py", "/asgi.py", "/wsgi/__init__.py", "/asgi/__init__.py")
_APP = r"""(?m)^{}\s*=\s*["']([\w.]+)\.(\w+)["']"""


def find(files: Files, root: str) -> Target | None:
    """The app of a Django project: the one that its settings name, or else that of a module wsgi or asgi."""
    manage = files.contents.get(f"{root}manage.py")
    if manage is None or not is_django(files.contents, root):
        return None
    match = _SETTINGS.search(manage.decode(errors="replace"))
    package = match[1].partition(".")[0] if match else ""
    prefix = f"{root}{match[1].replace('.', '/').removesuffix('/__init__')}" if match else None
    settings = "\n".join(
        files.contents[name].decode(errors="replace")
        for name in sorted(files.contents)
        # With settings in a package, base.py and others name the app.
        if prefix and name.endswith(".py") and name.startswith((f"{prefix}.py", f"{root}{package}/settings/"))
    )
    modules = {
        module
        for name in files.contents
        if name.startswith(root)
        and name.endswith(_MODULES)
        and (module := dotted_name(name.removeprefix(root))).count(".") < 3
    }
    for kind in _kinds(files):
        named = re.search(_APP.format(f"{kind.upper()}_APPLICATION"), settings)
        if named and named[1] in modules:
            return _target(named[1], named[2], kind=kind, root=root)
    # The package of the settings first.
    for module in sorted(modules, key=lambda name: (not name.startswith(f"{package}."), name)):
        if module.endswith(".wsgi"):
            return _target(module, "application", kind="wsgi", root=root)
    return next((_target(module, "application", kind="asgi", root=root) for module in sorted(modules)), None)


def is_django(contents: Mapping[str, bytes], root: str = "") -> bool:
    """Whether a manage.py, or a module wsgi or asgi below it, is of Django. Other frameworks have these, too."""
    names = [name for name in contents if name.startswith(root) and name.endswith(("manage.py", *_MODULES))]
    return any(b"django" in contents[name].lower() for name in names)


def _kinds(files: Files) -> tuple[Kind, ...]:
    """The kinds of app that can be served, the preferred one first."""
    try:
        servers = asgi_server.installed(files.contents)
    except UserError:
        # The list of a folder below the app. The app's own list has been checked.
        servers = set[str]()
    return ("asgi", "wsgi") if servers else ("wsgi",)


def _target(module: str, name: str, *, kind: Kind, root: str) -> Target:
    # Gunicorn's usual name of the app in a module is application.
    is_usual = kind == "wsgi" and name == "application"
    return Target(module if is_usual else f"{module}:{name}", kind, root.rstrip("/"))
