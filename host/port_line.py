"""The web line of a Procfile that listens where Nginx looks, made from one that listens elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What to add behind a server's name if its command has no option for the address yet.
_OPTIONS = {
    r"\b(?:uvicorn|granian)\b|\b(?:fastapi|litestar|chainlit) run\b|\bflask\b.* run\b|\bfastapi dev\b": "--port $PORT",
    r"\b(?:waitress-serve|sanic|voila)\b": "--port=$PORT",
    r"\b(?:hypercorn|cheroot)\b": "--bind 0.0.0.0:$PORT",
    r"\b(?:daphne|datasette)\b": "-p $PORT",
    r"\bmanage\.py runserver\b": "0.0.0.0:$PORT",
    r"\bhttp\.server\b": "$PORT",
    r"\bstreamlit run\b": "--server.port $PORT",
    r"\b(?:panel|bokeh) serve\b": "--port $PORT",
}


def corrected(command: str, places: Sequence[int | str]) -> str:
    """The command with $PORT or $GANTRY_SOCKET in place of the ports and paths where it listens.

    Returns "" if it isn't known how the command gets them.
    """
    changed = command
    for place in places:
        pattern, variable = re.escape(str(place)), "$PORT" if isinstance(place, int) else "$GANTRY_SOCKET"
        # The server sets PORT, unless the line does.
        changed = re.sub(rf"(?:\bexport\s+)?\bPORT=[\"']?{pattern}[\"']?(?:\s*(?:&&|;))?(?:\s+|$)", "", changed)
        changed = re.sub(rf"(?<![\w./$-]){pattern}(?![\w./-])", lambda _, name=variable: name, changed)
    if changed == command:
        return _with_option(command)
    # In single quotes, the shell leaves a variable as it is.
    return re.sub(r"'([^'\"]*\$(?:PORT|GANTRY_SOCKET)[^'\"]*)'", r'"\1"', changed)


def _with_option(command: str) -> str:
    if is_of_the_app(command):
        return ""
    for pattern, option in _OPTIONS.items():
        if match := re.search(pattern, command):
            return f"{command[: match.end()]} {option}{command[match.end() :]}"
    return ""


def is_of_the_app(command: str) -> bool:
    """Whether the app itself listens elsewhere: Gunicorn without an address gets Gantry's."""
    return re.search(r"\bgunicorn\b(?!.*(?:\s-b|\s--bind|\s-c|\s--config))", command) is not None
