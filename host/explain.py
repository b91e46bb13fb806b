"""Known causes in an app's last lines, and the remedy for each.

To explain another cause, append a pattern and a sentence to ``CAUSES``. The sentence names the exact line or command
to write. Groups of the pattern fill its braces. Where the remedy depends on the app's files, a function makes the
sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from host import (
    downloads,
    explain_attributes,
    explain_flask,
    explain_imports,
    explain_missing,
    explain_own_code,
    explain_paths,
    explain_servers,
    explain_variables,
    read_only,
)
from host.errors import ReleaseError
from host.explain_paths import SET_VARIABLE
from host.packages import missing_packages
from host.packages.adding import add_package
from host.run_prefix import project_script

# Returns the sentence for a match. The folder is the app's, or None if it isn't known.
Sentence = Callable[[re.Match[str], Path | None], str]

# What bash and dash write before an error: `/bin/bash: line 1: `, `./start.sh: line 3: `, `sh: 1: `.
_SHELL = r": (?:line )?\d+: (?:exec: )?"


def explain(text: str, app: Path | None = None) -> str:
    """The sentences that apply to an app's last lines, one per line, each once, in the order of ``CAUSES``; or "".

    With the folder of the ``app``, a module of the app is told from a package that isn't installed.
    """
    sentences: dict[str, None] = {}
    for pattern, sentence in CAUSES:
        for match in re.finditer(pattern, text):
            made = sentence.format(**match.groupdict()) if isinstance(sentence, str) else sentence(match, app)
            sentences[made] = None
    return "\n".join(filter(None, sentences))


def failure(reason: str, lines: str, app: Path | None = None) -> ReleaseError:
    """An error with the ``reason``, the last ``lines`` of the app, and what to change if they show a known cause."""
    return ReleaseError(f"{reason}\n{lines}".rstrip(), explain(lines, app))


def _missing_command(match: re.Match[str], app: Path | None) -> str:
    command = match["command"]
    if sentence := missing_packages.of_program(command):
        return sentence
    if explain_servers.is_known(match.string[match.start("command") :]):
        return ""
    if " " in command:
        return f"The quotes make one word of {command}: take them out, and write {command} into the Procfile."
    if "/" in command:
        return explain_paths.of_another_platform(command, "./") or explain_paths.no_file(command)
    if app and project_script(app, command):
        tool = "poetry" if (app / "poetry.lock").is_file() else "uv"
        return f"{command} is a script of the app's own pyproject.toml: write `{tool} run {command}` into the Procfile."
    if app and (app / command).is_file():
        return f"{command} is a file in the app's folder: write `./{command}` into the Procfile."
    return (
        f"The command {command} isn't installed. If a Python package has it, {add_package(command, app)}; otherwise"
        " change the command in the Procfile."
    )


def _empty_option(match: re.Match[str], _: Path | None) -> str:
    option = match["option"].rpartition("/")[2]
    if explain_servers.is_known(match[0]):
        return ""
    return (
        f"The option {option} has no valid value. If it comes from a variable that is empty here, set that:"
        f" {SET_VARIABLE.format('<NAME>')}; or write a value for this case into the Procfile:"
        f" `{option} ${{<NAME>:-<value>}}`."
    )


# Regular expressions over an app's last lines, and the sentence for each match.
CAUSES: list[tuple[str, str | Sentence]] = [
    (r"ModuleNotFoundError: No module named '(?P<module>[^']+)'", explain_imports.missing_module),
    (r"(?:^|\n)(?P<runner>Error): No module named '(?P<module>[^']+)'", explain_imports.missing_module),
    (r"(?P<runner>python)[\d.]*: No module named (?P<module>[\w.]+)", explain_imports.missing_module),
    (r"(?P<runner>The module) (?P<module>[\w.]+) was not found", explain_imports.missing_module),
    (
        r"File \"(?P<path>[^\"]+\.py)\", line \d+, in \S+\n"
        r"(?P<statement> +from (?P<dots>\.+)(?P<module>[\w.]*) import (?P<names>[^#\n]+).*)\n(?: +[~^]+\n)?"
        r"ImportError: attempted relative import (?P<reason>with no known parent|beyond top-level) package",
        explain_own_code.of_relative_import,
    ),
    (
        r"PackageNotFoundError: (?:No package metadata was found for )?(?P<package>[\w.-]+)(?=\n|$)",
        explain_own_code.missing_metadata,
    ),
    (
        r"DistributionNotFound: The '(?P<package>[\w.-]+)[^']*' distribution was not found",
        explain_own_code.missing_metadata,
    ),
    (r"Could not import module \"(?P<module>[\w.]+)\"", explain_imports.missing_module),
    (r"env: ['\u2018](?P<command>[^'\u2019\r]+)['\u2019]: No such file or directory", _missing_command),
    (rf"(?:{_SHELL}|\b(?:poetry|pipenv|uv) run: )(?P<command>\S.*?): (?:command )?not found", _missing_command),
    (rf"{_SHELL}(?:cd: |\.: )?(?P<path>[^:\n]+): No such file or directory", explain_paths.missing_in_shell),
    (
        rf"{_SHELL}(?:\.: )?cannot (?:open|create) (?P<path>.+): (?:No such file|Directory nonexistent)",
        explain_paths.missing_file,
    ),
    (rf"{_SHELL}cd: can't cd to (?P<path>.+)", explain_paths.missing_file),
    (
        rf"(?:env: ['\u2018]|{_SHELL})(?P<file>[^\s:'\u2019]+)['\u2019]?: (?:cannot execute: )?Permission denied",
        explain_paths.denied,
    ),
    (
        rf"{_SHELL}(?P<file>[^:\n]+): (?:cannot execute: required file not found|.*bad interpreter: No such file)",
        "The first line of {file} names a program that the server doesn't have: write `#!/usr/bin/env bash` or"
        " `#!/usr/bin/env python3` there, with a line end of Unix (LF).",
    ),
    (
        rf"{_SHELL}(?P<name>[A-Za-z_]\w*): (?:unbound variable|parameter (?:null or )?not set)",
        f"The command needs the variable {{name}}: {SET_VARIABLE.format('{name}')}",
    ),
    # argparse, as in Gunicorn; Click, as in uvicorn and Celery. The second forms took the next word for the value.
    (
        r"argument (?P<option>-\S+): (?:expected (?:one|at least one) argument|invalid \w+ value: '(?!\d))",
        _empty_option,
    ),
    (r"Option '(?P<option>-[^']+)' requires an argument", _empty_option),
    (r"Invalid value for '(?:-\w' / ')?(?P<option>-[^']+)': '-", _empty_option),
    (
        r"Address already in use|Connection in use: ",
        "Another process listens on this address. The old and the new release run at the same time, so a fixed port is"
        " taken: listen on $PORT or on the Unix socket that $GANTRY_SOCKET names.",
    ),
    *explain_servers.CAUSES,
    (
        r"MemoryError|Perhaps out of memory\?|(?:^|\n)Killed(?:\n|$)|: line \d+: +\d+ Killed\b|oom-kill",
        "The server has too little memory: run fewer workers with `pulumi config set workers 1`, or use a larger"
        " server.",
    ),
    (
        r"(?:<frozen os>|/os\.py)\", line \d+, in __getitem__\n(?:[ \t].*\n)*KeyError: '(?P<name>\w+)'",
        f"The app needs the variable {{name}}: {SET_VARIABLE.format('{name}')}",
    ),
    (
        r"(?:UndefinedValueError: |Set the |EnvError: Environment variable \")(?P<name>[A-Z][A-Z0-9_]*)"
        r"(?: not found| environment variable|\" not set)",
        f"The app needs the variable {{name}}: {SET_VARIABLE.format('{name}')}",
    ),
    (
        r"ImproperlyConfigured: The SECRET_KEY setting must not be empty",
        "Django's SECRET_KEY is empty. If the app reads it from a variable, set that, for example with:"
        " pulumi config set --secret --path env.SECRET_KEY <value>",
    ),
    (
        r"define the environment variable DJANGO_SETTINGS_MODULE",
        "The app doesn't name its settings: pulumi config set --path env.DJANGO_SETTINGS_MODULE <project>.settings",
    ),
    (
        r"ImproperlyConfigured: Error loading (?:psycopg2|psycopg)",
        lambda _, app: f"The driver of PostgreSQL isn't installed: {add_package('psycopg[binary]', app)}.",
    ),
    (
        r"please install \"(?P<package>[\w\[\]-]+)\"",
        lambda match, app: f"A part of a package isn't installed: {add_package(match['package'], app)}.",
    ),
    (
        r"ImproperlyConfigured: Error loading MySQLdb",
        lambda _, app: f"The driver of MySQL isn't installed: {add_package('mysqlclient', app)}.",
    ),
    (r"Failed to find attribute '(?P<attribute>[^']+)' in '(?P<module>[^']+)'", explain_attributes.missing),
    (
        r"Attribute \"(?P<attribute>[^\"]+)\" not found in module \"(?P<module>[^\"]+)\"",
        explain_attributes.missing,
    ),
    (r"Error: Could not locate a Flask application", explain_flask.not_located),
    (r"Error: No such command '(?P<command>[\w-]+)'", explain_flask.no_command),
    (
        r"Error: Could not import '(?P<module>[\w.]+)'\.",
        "The app has no module {module}: correct the name behind --app, or the variable FLASK_APP.",
    ),
    (
        r"Error: Failed to find Flask application or factory in module '(?P<module>[\w.]+)'",
        "The module {module} has no app with a usual name: write `--app {module}:<name>`, or set FLASK_APP so.",
    ),
    (
        r"Error: No application module specified",
        "Name the app in the Procfile's line, such as `web: gunicorn yourmodule:app`.",
    ),
    (
        r"__call__\(\) missing 1 required positional argument: 'send'",
        "This is an ASGI app, and Gunicorn's usual worker speaks WSGI: name an ASGI server in the Procfile, such as"
        " `web: uvicorn main:app --uds $GANTRY_SOCKET`, and add uvicorn to the app's packages.",
    ),
    (
        r"__call__\(\) (?:missing 1 required positional argument: 'start_response'|takes .*but 4 were given)",
        "This is a WSGI app, and the server speaks ASGI: run it with Gunicorn's usual worker, such as"
        " `web: gunicorn app:app`.",
    ),
    (
        r"no such table: |relation \"[^\"]+\" does not exist|Table '[^']+' doesn't exist",
        "A table is missing in the database. If migrations create it, let the release phase run them, for Django with"
        " this line of the Procfile: `release: python manage.py migrate`",
    ),
    (
        r"connection to server at \"(?:localhost|127\.0\.0\.1|::1)\"|connecting to (?:localhost|127\.0\.0\.1):",
        "The app looks for a database or queue on the server itself, and nothing answers there: set the variable with"
        " its address, such as: pulumi config set --secret --path env.DATABASE_URL <address>",
    ),
    (r"FileNotFoundError: \[Errno 2\] No such file or directory: '(?P<path>[^']+)'", explain_paths.missing_file),
    (r"can't open file '(?P<path>[^']+)': \[Errno 2\]", explain_paths.missing_file),
    (r"(?:^|\n)Error: (?:can't chdir to )?'(?P<path>[^']+)'(?: doesn't exist)?(?:\n|$)", explain_paths.missing_file),
    (r"(?P<library>lib[\w.+-]+\.so[\w.]*): cannot open shared object file", missing_packages.of_library),
    (r"cannot load library '(?P<library>lib[^']+)'", missing_packages.of_library),
    (r"(?:failed to find|Unable to find) (?P<library>libmagic|zbar)", missing_packages.of_library),
    (
        r"(?P<program>tesseract) is not installed|Is (?P<poppler>poppler) installed and in PATH",
        lambda match, _: missing_packages.of_program(match["program"] or "pdfinfo"),
    ),
    (
        r"locale\.Error: unsupported locale setting",
        missing_packages.sentence("locales-all", "The server has only the locale C.UTF-8"),
    ),
    *explain_variables.CAUSES,
    *explain_missing.CAUSES,
    *downloads.CAUSES,
    *((pattern, read_only.explain_path) for pattern in read_only.READ_ONLY),
    (read_only.WITHOUT_PATH, read_only.explain_without_path),
    (read_only.DENIED, read_only.explain_denied),
    (read_only.DATABASE, read_only.explain_database),
]
