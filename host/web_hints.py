"""What an app's author should know about the web server that runs: a faster way to listen, or a development server."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from pathlib import Path

from host import deployment, flask_app, health, listening, own_folder, procfile, systemd, web_server
from host.health_check import HealthCheck
from host.paths import Paths

# How each server listens on the Unix socket, by the name of its program or module.
SOCKET_OPTIONS = {
    "gunicorn": "leave -b or --bind out, then it listens on $GANTRY_SOCKET",
    "uvicorn": "write --uds $GANTRY_SOCKET in place of --host and --port",
    "waitress-serve": "write --unix-socket=$GANTRY_SOCKET in place of --listen, --host and --port",
    "waitress": "pass unix_socket=os.environ['GANTRY_SOCKET'] in place of host and port",
    "hypercorn": "write --bind unix:$GANTRY_SOCKET",
    "daphne": "write -u $GANTRY_SOCKET in place of -b and -p",
    "granian": "write --uds $GANTRY_SOCKET in place of --host and --port",
    "cheroot": "write --bind unix:$GANTRY_SOCKET",
}
# What the header Server of their answers begins with. http.server's and wsgiref's names have a version, too.
DEVELOPMENT_SERVERS = {
    "Werkzeug/": "Flask's development server",
    "WSGIServer/": "Python's wsgiref, which is also Django's runserver",
    "SimpleHTTP/": "Python's http.server",
    "BaseHTTP/": "Python's http.server",
}


def hints(paths: Paths, name: str, check: HealthCheck) -> list[str]:
    """Sentences about the running web process of a deployment, which answers health checks."""
    found = list[str]()
    if server := development_server(_server_header(paths, name, check)):
        found.append(
            f"warning: a development server for one person answers, {server}: use a production server, such as"
            f" 'web: {production_command(paths.releases / deployment.release_of(name))}'"
        )
    elif web_server.forward_file(paths, name).exists():
        process = int(systemd.show(deployment.unit(name), "MainPID")["MainPID"])
        option = socket_option(map(_command_line, listening.Group.of(process).processes))
        found.append(f"the web server listens on $PORT. A Unix socket is faster: {option}")
    return found


def production_command(release: Path) -> str:
    """The command with which Gunicorn serves the release in a folder, as far as its files show the app's name."""
    files = own_folder.modules(release)
    files |= {name: (release / name).read_bytes() for name in flask_app.FILES if (release / name).is_file()}
    command = procfile.read(release).get("web", "")
    value = flask_app.of_command(command) or flask_app.of_files(files)[0]
    if value and (found := flask_app.gunicorn_command(value, files)):
        return found
    wsgi = sorted((name for name in files if name.endswith("/wsgi.py")), key=lambda name: name.count("/"))
    if "manage.py" in command and "manage.py" in files and wsgi:
        return f"gunicorn {wsgi[0].removesuffix('.py').replace('/', '.')}"
    return "gunicorn app:app"


def socket_option(command_lines: Iterable[list[str]]) -> str:
    """How the server with one of these command lines, each a list of words, listens on the socket."""
    names = {Path(word).name for words in command_lines for word in words}
    options = [option for server, option in SOCKET_OPTIONS.items() if server in names]
    return options[0] if options else "if the server can listen on one, its path is in the variable GANTRY_SOCKET"


def development_server(header: str) -> str | None:
    """The development server with that Server header, or None."""
    return next((name for start, name in DEVELOPMENT_SERVERS.items() if header.startswith(start)), None)


def _server_header(paths: Paths, name: str, check: HealthCheck) -> str:
    connection = health.UnixConnection(paths.deployment_socket(name), check.timeout)
    try:
        connection.request("GET", check.path, headers={"Host": check.host, "X-Forwarded-Proto": "http"})
        return connection.getresponse().getheader("Server", "")
    except (OSError, http.client.HTTPException):
        # The checks decide about health. Here the app only doesn't say which server it is.
        return ""
    finally:
        connection.close()


def _command_line(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
