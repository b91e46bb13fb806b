"""Apps that bring a server of their own, and modules that start one while a server imports them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from components.app import app_call, python_module

_PYTHON = "python {file}"
_LISTEN = ", and let it listen on port int(os.environ['PORT'])"
_STARTED_BY_PYTHON = (
    "tornado", "robyn", "cherrypy", "bottle", "nicegui", "flet", "aiohttp", "sanic", "http.server", "socketserver",
    "twisted", "slack_bolt", "wsgiref", "waitress", "gevent.pywsgi", "cheroot", "eventlet",
)  # fmt: skip
# The command for a file that imports a package, or a part of one, and what else to change.
_PROGRAMS: dict[str, tuple[str, str]] = {
    "streamlit": ("streamlit run {file} --server.port $PORT --server.address 0.0.0.0", ""),
    "gradio": ("GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=$PORT python {file}", ""),
    "chainlit": ("chainlit run {file} --host 0.0.0.0 --port $PORT", ""),
    "panel": ("panel serve {file} --address 0.0.0.0 --port $PORT", ""),
    "bokeh": ("bokeh serve {file} --address 0.0.0.0 --port $PORT", ""),
    "shiny.express": ("shiny run --host 0.0.0.0 --port $PORT {file}", ""),
    **dict.fromkeys(_STARTED_BY_PYTHON, (_PYTHON, _LISTEN)),
}
# Objects that look like an app to a reader, but that no WSGI server can call.
_NOT_CALLABLE = ("tornado", "robyn", "gradio", "panel", "reflex", "flet")
# Packages of jobs, of programs for the command line and of bots, whose objects often have the name app, too.
_NOT_FOR_REQUESTS = (
    "celery", "typer", "click", "cyclopts", "cleo", "textual", "slack_bolt", "huey", "dramatiq", "arq", "telegram",
    "pyrogram", "aiogram", "discord", "kivy", "PyQt5", "PyQt6", "PySide2", "PySide6", "tkinter", "customtkinter",
)  # fmt: skip
# Calls that don't return before the server ends.
_BLOCKING = (".run", ".run_server", ".serve_forever", ".run_app", ".serve", ".quickstart", ".launch", ".run_forever")
# Packages whose calls with these names start a server.
_SERVERS = ("uvicorn", "waitress", "bottle", "cherrypy", "aiohttp", "hypercorn", "wsgiref", "gevent", "eventlet")


def line(file: str, module: python_module.Module) -> str:
    """The rest of a sentence for a program with a server of its own: the line to write. Empty for other modules."""
    package = next(_imported(module), None)
    if package is None:
        return ""
    command, remedy = _PROGRAMS[package]
    return f"'web: {command.format(file=file)}'{remedy}"


def is_not_callable(module: python_module.Module, name: str) -> bool:
    """Whether the name is bound to an object of a framework that neither WSGI nor ASGI servers can run."""
    made = [app_call.made_by(module, name), *app_call.returned_calls(module, name)]
    return any(full_name and full_name.partition(".")[0] in _NOT_CALLABLE for full_name in made)


def is_not_for_requests(module: python_module.Module, name: str) -> bool:
    """Whether the name is bound to an object of a framework that doesn't answer the requests of a web server."""
    module, name = python_module.origin(module, name)
    made = app_call.made_by(module, name)
    return made is not None and made.partition(".")[0] in _NOT_FOR_REQUESTS


def blocking_call(module: python_module.Module, name: str) -> tuple[str, int] | None:
    """A call with its line that starts a server while the module is imported for ``name``; None if there is none."""
    objects = {name, *module.values}
    for called, number in module.calls:
        if called.endswith(_BLOCKING) and called.partition(".")[0] in {*objects, *_SERVERS}:
            return called, number
    return None


def _imported(module: python_module.Module) -> Iterator[str]:
    names: Iterable[str] = [*module.imports.values(), *module.stars]
    for package in _PROGRAMS:
        if any(name == package or name.startswith(f"{package}.") for name in names):
            yield package
