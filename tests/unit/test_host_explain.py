"""Known causes in an app's last lines, and the sentences with their remedies."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.explain import CAUSES, explain, failure

IMPORT_BY_NAME = """  File "/opt/gantry/venvs/1/lib/python3.13/site-packages/gunicorn/util.py", line 377, in import_app
    mod = importlib.import_module(module)
  File "/usr/lib/python3.13/importlib/__init__.py", line 88, in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
           ~~~~~~~~~~~~~~~~~~~~~~^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "<frozen importlib._bootstrap>", line 1387, in _gcd_import
  File "<frozen importlib._bootstrap>", line 1324, in _find_and_load_unlocked
"""
ENVIRON = """  File "/opt/gantry/instances/1/app/app.py", line 3, in <module>
    TOKEN = os.environ["DATABASE_URL"]
            ~~~~~~~~~~^^^^^^^^^^^^^^^^
  File "<frozen os>", line 717, in __getitem__
KeyError: 'DATABASE_URL'
"""
OLDER_ENVIRON = """  File "/usr/lib/python3.11/os.py", line 679, in __getitem__
    raise KeyError(key) from None
KeyError: 'DATABASE_URL'
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ModuleNotFoundError: No module named 'numpy'", "numpy isn't installed: add numpy to requirements.txt."),
        ("ModuleNotFoundError: No module named 'yaml'", "add PyYAML to requirements.txt."),
        ("ModuleNotFoundError: No module named 'google.cloud'", "module google.cloud isn't installed"),
        (
            f"{IMPORT_BY_NAME}ModuleNotFoundError: No module named 'shop'",
            "Neither the app nor its packages have a module shop: correct the name in the Procfile",
        ),
        (
            "/opt/gantry/venv/bin/python3: No module named celery",
            "correct the name in the Procfile or in the app's settings; or, if it belongs to a package, add celery to",
        ),
        ("python: can't open file '/srv/a.py': [Errno 2] No such file", "name it relative to the app's folder"),
        ("/bin/bash: line 1: python3.11: command not found", "Write `python` in place of python3.11: the file"),
        ("/bin/bash: line 1: rye: command not found", "write the command that rye runs"),
        ("TypeError: Application object must be callable.", "-k aiohttp.GunicornWebWorker"),
        ("[ERROR] connection to a.sock failed: [Errno 30] Read-only file system", "can't listen on a.sock: take -b"),
        ("[ERROR] connection to /run/a.sock failed: [Errno 13] Permission denied", "then it listens on $GANTRY_SOCKET"),
        (
            "AppImportError: TypeError: create_app() missing 1 required positional argument: 'config'",
            "The factory create_app needs 'config': give values",
        ),
        (
            "TypeError: create_app() takes 0 positional arguments but 2 were given",
            "`web: gunicorn 'yourmodule:create_app()'`",
        ),
        ("TypeError: Application.__call__() takes 2 positional arguments but 3 were given", "An app of Tornado"),
        ('Error loading ASGI app. Attribute "application" not found in module "main".', "$GANTRY_SOCKET main:app`"),
        ('Error loading ASGI app. Import string "main" must be in format "<module>:<attribute>".', "write main:app"),
        ('Error loading ASGI app. Could not import module "main.py".', "has no .py: write main into"),
        (
            'RuntimeError: To use the fastapi command, please install "fastapi[standard]":',
            "add fastapi[standard] to req",
        ),
        (
            "Unable to load celery application.\nThe module tasks was not found.",
            "have a module tasks: correct the name",
        ),
        ("Error: No module named 'config'", "correct the name in the Procfile"),
        ("ModuleNotFoundError: No module named 'src/app'", "write src.app into the Procfile"),
        ("/bin/bash: line 1: pip: command not found", "take the command that installs them out"),
        ("/opt/gantry/venv/bin/python: No module named pip", "take the command that installs them out"),
        ("Error: 'gunicorn.conf.py' doesn't exist", "gunicorn.conf.py isn't in the release"),
        ("Error: can't chdir to 'backend'", "backend isn't in the release"),
        ("ImportError: Failed to find application, did you mean 'app:app'?", "write `gunicorn app:app`"),
        ("AppImportError: Failed to parse '' as an attribute name or function call.", "in one word"),
        ("gunicorn: error: unrecognized arguments: --wrokers 2", "doesn't know its option --wrokers: correct it"),
        ("serve.py: error: unrecognized arguments: shop --port=5001", "doesn't know its option --port: correct it"),
        ("serve.py: error: unrecognized arguments: shop", "takes no argument shop: correct it"),
        ("Error: No such option: --prot (Possible options: --port)", "doesn't know its option --prot: correct it"),
        ("ImportError: Entry point ('gunicorn.workers', 'eventlet') not found", "no worker class eventlet"),
        ("Error: '$PORT' is not a valid port number.", "not in single quotes"),
        ("Error: '' is not a valid port number.", "in capital letters"),
        ("Error: Invalid value for '--port': '%PORT%' is not a valid integer.", "write $PORT"),
        ("Error: Invalid value for '-p' / '--port': '' is not a valid integer.", "write $PORT"),
        ('CommandError: "$port" is not a valid port number or address:port pair.', "write $PORT"),
        ("error: argument -p/--port: expected one argument", "write `$PORT` in capital letters"),
        ("[ERROR] connection to ('0.0.0.0', 80) failed: [Errno 13] Permission denied", "below 1024"),
        (
            "Error: Error: 'logs/a.log' isn't writable [FileNotFoundError(2, 'No such",
            "can't write to logs/a.log: write `-`",
        ),
        ("failed: [Errno 1] Operation not permitted: '/run/gantry/1.sock'", "can't become another one"),
        ("PermissionError: [Errno 13] Permission denied: '/var/run/tmp_f7b'", "take an option such as --pid out"),
        ('sudo: The "no new privileges" flag is set, which prevents', "take sudo or su out"),
        ("/bin/bash: line 1: ulimit: open files: cannot modify limit: Operation not permitted", "take ulimit out"),
        ('ERROR: Error loading ASGI app. Could not import module "main".', "module main"),
        ("/usr/bin/env: \u2018daphne\u2019: No such file or directory", "add daphne to requirements.txt"),
        ("/opt/gantry/instances/1/web: 2: exec: daphne: not found", "The command daphne isn't installed"),
        ("run: line 2: daphne: command not found", "The command daphne isn't installed"),
        ("/usr/bin/env: './start.sh': No such file or directory", "The app has no file ./start.sh"),
        ("/usr/bin/env: './start.sh': Permission denied", "run `chmod +x ./start.sh`"),
        ("/bin/bash: line 1: ./start.sh: Permission denied", "run `chmod +x ./start.sh`"),
        ("/bin/bash: line 1: exec: ./start.sh: cannot execute: Permission denied", "run `chmod +x ./start.sh`"),
        ("/bin/bash: line 1: ./start.sh: No such file or directory", "The app has no file ./start.sh"),
        ("web: 2: ./start.sh: Permission denied", "write `sh ./start.sh` into the Procfile"),
        ("[ERROR] Connection in use: ('0.0.0.0', 8000)", "listen on $PORT"),
        ("OSError: [Errno 98] Address already in use", "a fixed port is taken"),
        ("PermissionError: [Errno 13] Permission denied: ('0.0.0.0', 80)", "below 1024"),
        ("[ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?", "pulumi config set workers 1"),
        (f"Traceback:\n{ENVIRON}", "pulumi config set --path env.DATABASE_URL <value>"),
        (f"Traceback:\n{OLDER_ENVIRON}", "pulumi config set --path env.DATABASE_URL <value>"),
        ("decouple.UndefinedValueError: TOKEN not found. Declare it as envvar", "config set --path env.TOKEN <value>"),
        ("ImproperlyConfigured: Set the TOKEN environment variable", "config set --path env.TOKEN <value>"),
        ('environs.EnvError: Environment variable "TOKEN" not set', "config set --path env.TOKEN <value>"),
        ("ImproperlyConfigured: The SECRET_KEY setting must not be empty.", "--secret --path env.SECRET_KEY"),
        ("you must either define the environment variable DJANGO_SETTINGS_MODULE or", "env.DJANGO_SETTINGS_MODULE"),
        ("ImproperlyConfigured: Error loading psycopg2 or psycopg module", "add psycopg[binary] to requirements.txt"),
        ("ImproperlyConfigured: Error loading MySQLdb module.", "add mysqlclient to requirements.txt"),
        ("Failed to find attribute 'app' in 'wsgi'.", "`web: gunicorn wsgi:application`"),
        ("TypeError: FastAPI.__call__() missing 1 required positional argument: 'send'", "This is an ASGI app"),
        ("TypeError: Flask.__call__() takes 3 positional arguments but 4 were given", "This is a WSGI app"),
        ("sqlite3.OperationalError: no such table: auth_user", "`release: python manage.py migrate`"),
        ('psycopg.errors.UndefinedTable: relation "users" does not exist', "let the release phase run them"),
        (
            'connection to server at "localhost" (127.0.0.1), port 5432 failed: Connection refused',
            "env.DATABASE_URL <address>",
        ),
        ("redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379.", "nothing answers there"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '.env'", "set its variables with"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/srv/a.json'", "name it relative"),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/app/a.json'",
            "Write a.json in place of /app/a.json",
        ),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'a.json'", ".gitignore doesn't name it"),
    ],
)
def test_a_known_cause_gets_the_sentence_with_its_remedy(text: str, sentence: str):
    assert sentence in explain(f"Starting gunicorn 27.0.1\n{text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "KeyError: 'name'",
        '  File "/app/app.py", line 3, in page\n    row["DATABASE_URL"]\nKeyError: \'DATABASE_URL\'',
        "GET /Killed 200",
        "ImportError: cannot import name 'a' from 'b'",
        "PermissionError: [Errno 13] Permission denied: '/etc/shadow'",
    ],
)
def test_lines_without_a_known_cause_get_no_sentence(text: str):
    assert explain(text) == ""


def test_every_sentence_comes_once_in_the_order_of_the_table():
    text = (
        "MemoryError\nModuleNotFoundError: No module named 'a'\nMemoryError\nModuleNotFoundError: No module named 'a'"
    )
    first, second = explain(text).splitlines()
    assert "module a" in first
    assert "memory" in second


def test_every_pattern_finds_no_cause_in_an_empty_text_or_in_its_own_sentence():
    sentences = [sentence for _, sentence in CAUSES if isinstance(sentence, str)]
    assert [sentence for sentence in sentences if explain(sentence)] == []


@pytest.mark.parametrize(
    ("file", "module", "remedy"),
    [
        ("src/shop.py", "shop", "`--chdir src`"),
        ("src/shop/views.py", "shop", "pulumi config set --path env.PYTHONPATH src"),
        ("backend/src/shop/views.py", "shop.models", "env.PYTHONPATH backend/src"),
        ("shop/views.py", "shop.models", "The app's shop has no module shop.models"),
        ("shop.py", "shop", "env.PYTHONPATH ."),
    ],
)
def test_a_module_of_the_app_is_told_from_a_package(tmp_path: Path, file: str, module: str, remedy: str):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    sentence = explain(f"ModuleNotFoundError: No module named '{module}'", tmp_path)
    assert remedy in sentence
    assert "installed" not in sentence


def test_a_module_with_the_name_of_the_apps_own_folder_is_found(tmp_path: Path):
    # On a server, every release is in a folder that is called app.
    (tmp_path / "app").mkdir()
    (tmp_path / "app/app.py").touch()
    sentence = explain("ModuleNotFoundError: No module named 'app'", tmp_path / "app")
    assert "The module app is in the app's folder" in sentence
    assert "env.PYTHONPATH ." in sentence


def test_an_app_behind_a_dot_gets_a_colon(tmp_path: Path):
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite/wsgi.py").touch()
    text = "ModuleNotFoundError: No module named 'mysite.wsgi.application'; 'mysite.wsgi' is not a package"
    assert "write mysite.wsgi:application into the Procfile" in explain(text, tmp_path)


def test_a_change_to_the_home_of_heroku_is_taken_out(tmp_path: Path):
    (tmp_path / "shop.py").touch()
    (tmp_path / "Procfile").write_text("web: cd $HOME && gunicorn shop:app\n")
    sentence = explain("ModuleNotFoundError: No module named 'shop'", tmp_path)
    assert "take `cd $HOME` out of the Procfile" in sentence
    assert "PYTHONPATH" not in sentence


@pytest.mark.parametrize(
    ("file", "remedy"),
    [
        ("uv.lock", "run `uv add 'setuptools<81'` and commit uv.lock"),
        ("poetry.lock", "run `poetry add 'setuptools<81'`"),
        ("requirements.txt", "add setuptools<81 to requirements.txt"),
        ("pyproject.toml", "add setuptools<81 to dependencies in pyproject.toml"),
    ],
)
def test_a_missing_package_is_added_where_the_app_lists_its_packages(tmp_path: Path, file: str, remedy: str):
    (tmp_path / file).touch()
    assert remedy in explain("ModuleNotFoundError: No module named 'pkg_resources'", tmp_path)


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ("imp", "no module imp since 3.12: update the package that imports it, or write 3.11 into .python-version."),
        ("cgi", "write 3.12 into .python-version, or add legacy-cgi to requirements.txt."),
        ("distutils.util", "write 3.11 into .python-version, or add setuptools to requirements.txt."),
        ("telnetlib", "no module telnetlib since 3.13: update the package"),
        ("tomllib", "has the module tomllib since 3.11: write 3.11 into .python-version, or a newer version"),
        ("winreg", "Only Windows has the module winreg"),
        ("tkinter", "needs a screen, which a server doesn't have"),
        ("_sqlite3", "no package has it: choose another version of Python in .python-version"),
        ("google.cloud", "its package has another name: add <package> to requirements.txt"),
        ("google", "its package has another name: add <package> to requirements.txt"),
        ("google.cloud.storage", "add google-cloud-storage to requirements.txt"),
        ("google.protobuf", "add protobuf to requirements.txt"),
        ("nacl", "add PyNaCl to requirements.txt"),
        ("serial.tools", "add pyserial to requirements.txt"),
        ("flask_cors", "add flask_cors to requirements.txt"),
    ],
)
def test_a_missing_module_gets_its_package_or_another_version_of_python(module: str, sentence: str):
    assert sentence in explain(f"ModuleNotFoundError: No module named '{module}'")


def test_the_version_of_python_is_written_where_the_app_has_it(tmp_path: Path):
    (tmp_path / "runtime.txt").write_text("python-3.13")
    text = "ModuleNotFoundError: No module named 'imp'"
    assert "or write python-3.11 into runtime.txt" in explain(text, tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/imp.py").touch()
    assert "The module imp is in lib/" in explain(text, tmp_path)


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("docker", "An app runs without containers"),
        ("heroku", "heroku is a program for the computers of developers"),
        ("nginx", "Nginx in front of every app"),
        ("redis-server", "A server starts no redis-server for an app"),
        ("crontab", "jobs at fixed times"),
        ("java", "write default-jre-headless into a file Aptfile"),
        ("sqlite3", "write sqlite3 into a file Aptfile"),
        ("jq", "write jq into a file Aptfile"),
    ],
)
def test_a_missing_program_that_no_python_package_has_is_not_sought_there(program: str, sentence: str):
    found = explain(f"/bin/bash: line 1: {program}: command not found")
    assert sentence in found
    assert "Python package" not in found


def test_the_error_ends_with_the_remedy():
    error = failure("the app doesn't start:", "one\nMemoryError")
    assert str(error).splitlines()[:3] == ["the app doesn't start:", "one", "MemoryError"]
    assert str(error).splitlines()[-1].startswith("The server has too little memory")
    assert str(failure("the app doesn't start:", "")) == "the app doesn't start:"
