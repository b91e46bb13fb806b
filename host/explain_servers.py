"""Known causes in the words of web servers and of the programs around them, and the remedy for each.

They are a part of ``explain.CAUSES``. The remedies need no look into the app's files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from host import read_only
from host.paths import Paths

_DATA = Paths().app_home
INSTALLED = (
    "The packages are installed before the app starts: in the Procfile, take the command that installs them out of the"
    " line, and leave the one that starts the app."
)

# Regular expressions over an app's last lines, and the sentence for each match.
CAUSES: list[tuple[str, str | Callable[[re.Match[str], Path | None], str]]] = [
    # Gunicorn; Click, as in uvicorn; Django; waitress.
    (
        r"Error: '(?P<port>.*)' is not a valid port number"
        r"|Invalid value for '(?:-\w' / ')?--port': '(?!-)(?P<click>.*)' is not a valid"
        r"|argument (?:-p, )?--port(?:/-p)?: invalid int value: '(?!-)(?P<argparse>.*)'"
        r"|CommandError: \"(?P<django>.*)\" is not a valid port number",
        "The port must be that of the variable PORT. In the Procfile, write $PORT in capital letters, and not in single"
        " quotes.",
    ),
    (
        r"Option '(?:--port|-p|--bind|-b)' requires an argument|argument (?:-p/--port|--port|-b/--bind): expected one",
        "The option has no value: in the Procfile, write `$PORT` in capital letters, which is never empty.",
    ),
    (
        r"connection to \('[^']*', \d{1,3}\) failed: \[Errno 13\]"
        r"|(?:\[Errno 13\] Permission denied|Permission denied|PermissionError).*\('[^']*', \d{1,3}\)",
        "An app may not listen on a port below 1024: listen on $PORT or on the Unix socket that $GANTRY_SOCKET names.",
    ),
    (
        read_only.SOCKET,
        "Gunicorn can't listen on {path}: take -b or --bind out of its command, then it listens on $GANTRY_SOCKET.",
    ),
    (
        r"Error: '(?P<path>[^']+)' isn't writable",
        f"Gunicorn can't write to {{path}}: write `-` in place of the path, which sends the lines to the journal, or a"
        f" path below {_DATA}.",
    ),
    (
        r"PermissionError: \[Errno 13\] Permission denied: '/(?:var/)?run/",
        f"The app may not write to /run: take an option such as --pid out of the command, because systemd knows the"
        f" process, or let it name a path below {_DATA}.",
    ),
    (
        r"Operation not permitted: '/run/gantry/|PermissionError: \[Errno 1\] Operation not permitted\n",
        "The app runs as the user app and can't become another one: take options such as --user, --group, uid and gid"
        " out of the command.",
    ),
    (
        r"sudo: The \"no new privileges\" flag|sudo: a (?:terminal|password) is required|su: Authentication failure",
        "The app runs as the user app and can't become another one: take sudo or su out of the command.",
    ),
    (
        r"ulimit: [\w ]+: cannot modify limit",
        "The command can't raise this limit: take ulimit out of it.",
    ),
    (
        r"(?P<python>python\d\.\d+): (?:command )?not found",
        "Write `python` in place of {python}: the file .python-version or runtime.txt chooses the version.",
    ),
    (r"\bpip3?: (?:command )?not found", INSTALLED),
    (
        r"(?P<program>conda|mamba|micromamba|rye|pdm|hatch|pixi): (?:command )?not found",
        "The packages are installed before the app starts, without {program}: in the Procfile, write the command that"
        " {program} runs, such as `gunicorn app:app`.",
    ),
    (
        r"\b(?:docker|docker-compose|podman): (?:command )?not found",
        "An app runs without containers: in the Procfile, write the command that the container runs.",
    ),
    (
        r"\b(?P<program>heroku|flyctl|railway|gcloud|vercel|dokku): (?:command )?not found",
        "{program} is a program for the computers of developers: take it out of the command.",
    ),
    (
        r"\b(?:nginx|start-nginx): (?:command )?not found",
        "A server has Nginx in front of every app: take nginx out of the command.",
    ),
    (
        r"\b(?:crontab|cron): (?:command )?not found",
        "For jobs at fixed times, write `cron` into app.json, or start a process such as `clock` in the Procfile.",
    ),
    (
        r"\b(?P<program>redis-server|memcached|postgres|mysqld|mongod|rabbitmq-server): (?:command )?not found",
        "A server starts no {program} for an app: take it out of the command, and set the variable with the address of"
        " one that runs elsewhere.",
    ),
    (
        r"AppImportError: TypeError: (?P<factory>\w+)\(\) missing \d+ required [\w -]*arguments?: (?P<arguments>.+)",
        "The factory {factory} needs {arguments}: give values in the Procfile, such as"
        " `web: gunicorn \"yourmodule:{factory}('value')\"`, or default values in the app.",
    ),
    (
        # A class that isn't callable as WSGI says it with its method: Application.__call__().
        r"TypeError: (?P<factory>[a-z_]\w*)\(\) takes (?:from )?\d[\w ]* arguments? but 2 were given(?=\n|$)",
        "If {factory} is a factory, it needs parentheses in the Procfile: `web: gunicorn 'yourmodule:{factory}()'`.",
    ),
    (
        r"TypeError: Application\.__call__\(\) takes 2 positional arguments but 3 were given",
        "An app of Tornado brings its own server: start it with `python` in the Procfile, and let it listen on $PORT.",
    ),
    (
        r"Import string \"(?P<module>[^\":]+)\" must be in format",
        "The server needs the app's name behind the module: write {module}:app into the Procfile, if the app is called"
        " app.",
    ),
    (
        r"Failed to find application, did you mean '(?P<name>[^':]+):",
        "Gunicorn takes the name of a module, and no file: write `gunicorn {name}:app` into the Procfile, if the app is"
        " called app.",
    ),
    (
        r"Failed to parse '(?P<name>.*)' as an attribute name",
        "Gunicorn takes the module and the app's name in one word, such as `gunicorn yourmodule:app`: correct the line"
        " in the Procfile.",
    ),
    (
        # The value behind an option may be a port or a secret.
        r"error: unrecognized arguments: .*?(?P<option>--?[A-Za-z][\w-]*)|No such option: (?P<click>[\w-]+)",
        lambda match, _: (
            f"The program doesn't know its option {match['option'] or match['click']}: correct it in the Procfile, or"
            " take it out."
        ),
    ),
    (
        r"error: unrecognized arguments: (?!.*-)(?P<arguments>.+)",
        "The program takes no argument {arguments}: correct it in the Procfile, or take it out.",
    ),
    (
        r"Entry point \('gunicorn\.workers', '(?P<worker>[^']+)'\) not found",
        "Gunicorn has no worker class {worker}, or none any more: write another one behind -k, such as"
        " gthread or gevent, or take -k out.",
    ),
    (
        r"Application object must be callable",
        "The name in the Procfile isn't an app that Gunicorn can call. An app of aiohttp runs with `gunicorn -k"
        " aiohttp.GunicornWebWorker`, one of web.py needs `application = app.wsgifunc()`, and a program with its own"
        " server, such as Tornado, is started with `python` and listens on $PORT.",
    ),
]


def is_known(lines: str) -> bool:
    """Whether the lines begin with one of these causes. Its sentence says more than a general one."""
    return any(re.match(pattern, lines) for pattern, _ in CAUSES)
