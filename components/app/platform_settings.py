"""Settings in files of other platforms: variables, add-ons, numbers of processes, and paths of health checks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.app import addons, dockerfile, documents
from components.app.configured import Configured
from components.app.suspects import listed, printable
from components.settings.env import name_mistake
from host import dotenv, procfile
from host.procfile_correction import valid_name

_APP_JSON, _HEROKU, _RENDER, _FLY = "app.json", "heroku.yml", "render.yaml", "fly.toml"
_APP_ENGINE, _FLASKENV = "app.yaml", ".flaskenv"
# Variables of the platforms themselves, of their builds, and of Flask's development server.
_OF_PLATFORMS = re.compile(
    r"(?:HEROKU|RENDER|FLY|RAILWAY|NIXPACKS|POETRY|PIP|UV|NODE|NPM|YARN|BUILDPACK|FLASK_RUN|DOKKU)_\w+"
    r"|FLASK_APP|QUART_APP|PYTHON_VERSION|PYTHONUNBUFFERED|PYTHONDONTWRITEBYTECODE|PYTHONHASHSEED"
)
_SECRET = re.compile(
    r"SECRET|KEY|TOKEN|PASS|PWD|CREDENTIAL|AUTH|DSN|PRIVATE|SALT|SIGNATURE|DATABASE|REDIS|MONGO|AMQP|BROKER|COOKIE"
)
# An address with a login, or a long text without meaning.
_SECRET_VALUE = re.compile(r"://[^/\s]*@|[A-Za-z0-9+/=_-]{24,}")
# In place of the values for developers.
_FOR_VISITORS = {"FLASK_ENV": "production", "FLASK_DEBUG": "0"}
_PLAIN = re.compile(r"[^\x00-\x1f\x7f]{1,60}")
_VERSION = "PYTHON_VERSION"


@dataclass
class PlatformSettings:
    """What a file says: variables with their values or "", processes with their numbers, and add-ons."""

    variables: dict[str, str] = field(default_factory=dict[str, str])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    health_path: str = ""
    addons: list[str] = field(default_factory=list[str])


def notes(contents: Mapping[str, bytes], configured: Configured) -> Iterator[str]:
    """A sentence for each kind of setting that these files have and the stack's settings lack.

    ``contents`` are the files of the app by name, with a valid Procfile.
    """
    by_file = {name: read(contents) for name, read in _READERS.items() if name in contents}
    yield from _variables(by_file, configured)
    yield from _counts(by_file, configured, procfile.processes(procfile.decode(contents["Procfile"])))
    for name, one in by_file.items():
        if one.health_path not in ("", "/") and configured.health_path == "/":
            yield (
                f"health checks ask for /, and not for {one.health_path} as {name} says: set it with:"
                f" pulumi config set healthPath {shlex.quote(one.health_path)}"
            )
            break
    for name, one in by_file.items():
        version = one.variables.get(_VERSION, "")
        if re.fullmatch(r"3[\d.]*", version) and not {".python-version", "runtime.txt"} & contents.keys():
            yield f"servers don't read {_VERSION} of {name}: write {version} into a file .python-version"
            break


def _variables(by_file: Mapping[str, PlatformSettings], configured: Configured) -> Iterator[str]:
    """One sentence about variables and add-ons."""
    found, files, missing_addons, secret = dict[str, str](), list[str](), list[str](), set[str]()
    for name, one in by_file.items():
        of_addons = {addons.variable(addon): addon for addon in one.addons if addons.variable(addon)}
        missing = {
            variable: value
            for variable, value in (dict.fromkeys(of_addons, "") | one.variables).items()
            if not (variable in configured.env or name_mistake(variable) or _OF_PLATFORMS.fullmatch(variable))
        }
        secret |= {
            variable for variable, value in missing.items() if variable in of_addons or _is_secret(variable, value)
        }
        missing_addons += [addon for variable, addon in of_addons.items() if variable in missing]
        files += [name] if missing else []
        found = {**missing, **found}
    if scheduled := next((name for name, one in by_file.items() if "scheduler" in map(addons.plan, one.addons)), ""):
        yield f"servers have no add-on scheduler as {scheduled} says: write its jobs into `cron` of app.json"
    if not found:
        return
    # An example with a value first, and secrets last.
    names = sorted(found, key=lambda name: (name in secret, name in _FOR_VISITORS, not found[name], name))
    only_addons = len(missing_addons) == len(found)
    reason = f"have no add-ons such as {printable(missing_addons[0])}" if missing_addons else ""
    unset = "" if only_addons else f"set no variables of {' and '.join(files)}"
    yield (
        f"servers {' and '.join(filter(None, (reason, unset)))} ({listed(names)}): set the variables that the app"
        f" needs, for example with: {' and '.join(_commands(names, found, secret))}"
    )


def _is_secret(name: str, value: str) -> bool:
    return _SECRET.search(name.upper()) is not None or _SECRET_VALUE.search(value) is not None


def _commands(names: list[str], values: Mapping[str, str], secret: Collection[str]) -> Iterator[str]:
    """The commands for the first variable that is no secret, and for the first that is one."""
    for name in [name for name in names if name not in secret][:1]:
        value = values[name] if _PLAIN.fullmatch(values[name]) else ""
        yield f"pulumi config set --path env.{name} {shlex.quote(value) if value else '<value>'}"
    for name in [name for name in names if name in secret][:1]:
        yield f"pulumi config set --secret --path env.{name} <value>"


def _counts(
    by_file: Mapping[str, PlatformSettings], configured: Configured, commands: Mapping[str, str]
) -> Iterator[str]:
    """One sentence about the numbers of processes that differ from Gantry's."""
    for name, one in by_file.items():
        parts, settings = list[str](), list[str]()
        web = one.counts.get("web", 1)
        if web > 1 and configured.servers == 1:
            parts.append(f"web {web}")
            settings.append(f"pulumi config set servers {web}")
        for process in procfile.services(commands):
            count = one.counts.get(process, 1)
            if process in configured.singletons:
                continue
            if count != 1 and process not in configured.processes:
                parts.append(f"{process} {count}")
                settings.append(f"pulumi config set --path processes.{process} {count}")
        if not parts:
            continue
        workers = " (the setting workers says how many workers answer on each server)" if web > 1 else ""
        yield (
            f"servers don't read the numbers of processes in {name} ({', '.join(parts)}), and each server runs one of"
            f" each: to change that, run: {' and '.join(settings)}{workers}"
        )
        return


def _of_app_json(contents: Mapping[str, bytes]) -> PlatformSettings:
    document = documents.read(contents, _APP_JSON)
    result = PlatformSettings(addons=_addons(document.get("addons")))
    for name, value in documents.table(document.get("env")).items():
        table = documents.table(value)
        text = table.get("value") if table else value
        # Heroku asks for the others only if the app's owner wants to.
        if text not in (None, "") or "generator" in table or (table and table.get("required", True) is not False):
            result.variables[name] = _text(text)
    for process, value in documents.table(document.get("formation")).items():
        _add_count(result, process, documents.table(value).get("quantity"))
    for check in documents.items(documents.table(document.get("healthchecks")).get("web")):
        result.health_path = result.health_path or _path(documents.table(check).get("path"))
    return result


def _of_heroku(contents: Mapping[str, bytes]) -> PlatformSettings:
    setup = documents.table(documents.read(contents, _HEROKU).get("setup"))
    variables = {name: _text(value) for name, value in documents.table(setup.get("config")).items()}
    return PlatformSettings(variables=variables, addons=_addons(setup.get("addons")))


def _of_render(contents: Mapping[str, bytes]) -> PlatformSettings:
    services = [documents.table(each) for each in documents.items(documents.read(contents, _RENDER).get("services"))]
    result = PlatformSettings()
    is_web = [each.get("type") == "web" and each.get("runtime", each.get("env")) != "static" for each in services]
    for service in [service for service, web in zip(services, is_web, strict=True) if web][:1]:
        result.health_path = _path(service.get("healthCheckPath"))
        _add_count(result, "web", service.get("numInstances"))
        for each in map(documents.table, documents.items(service.get("envVars"))):
            if isinstance(name := each.get("key"), str):
                result.variables[name] = _text(each.get("value"))
    workers = [service for service in services if service.get("type") == "worker"]
    for service in workers:
        name = valid_name(str(service.get("name"))) if workers[1:] else "worker"
        _add_count(result, name, service.get("numInstances"))
    return result


def _of_fly(contents: Mapping[str, bytes]) -> PlatformSettings:
    document = documents.read(contents, _FLY)
    result = PlatformSettings(
        variables={name: _text(value) for name, value in documents.table(document.get("env")).items()}
    )
    services = [document.get("http_service"), *documents.items(document.get("services"))]
    keys = ("checks", "http_checks")
    checks = [check for each in services for key in keys for check in documents.items(documents.table(each).get(key))]
    for check in (*checks, *documents.table(document.get("checks")).values()):
        result.health_path = result.health_path or _path(documents.table(check).get("path"))
    return result


def _of_railway(name: str) -> Callable[[Mapping[str, bytes]], PlatformSettings]:
    def read(contents: Mapping[str, bytes]) -> PlatformSettings:
        deploy = documents.table(documents.read(contents, name).get("deploy"))
        result = PlatformSettings(health_path=_path(deploy.get("healthcheckPath")))
        _add_count(result, "web", deploy.get("numReplicas"))
        return result

    return read


def _of_app_engine(contents: Mapping[str, bytes]) -> PlatformSettings:
    document = documents.read(contents, _APP_ENGINE)
    if not str(document.get("runtime")).startswith("python"):
        return PlatformSettings()
    variables = {name: _text(value) for name, value in documents.table(document.get("env_variables")).items()}
    return PlatformSettings(
        variables=variables, health_path=_path(documents.table(document.get("readiness_check")).get("path"))
    )


def _of_digital_ocean(name: str) -> Callable[[Mapping[str, bytes]], PlatformSettings]:
    def read(contents: Mapping[str, bytes]) -> PlatformSettings:
        document = documents.read(contents, name)
        spec = documents.table(document.get("spec")) or document
        result = PlatformSettings()
        for service in [documents.table(each) for each in documents.items(spec.get("services"))][:1]:
            result.health_path = _path(documents.table(service.get("health_check")).get("http_path"))
            _add_count(result, "web", service.get("instance_count"))
            for each in map(
                documents.table, [*documents.items(spec.get("envs")), *documents.items(service.get("envs"))]
            ):
                if isinstance(key := each.get("key"), str):
                    result.variables[key] = _text(each.get("value"))
        return result

    return read


def _of_dockerfile(contents: Mapping[str, bytes]) -> PlatformSettings:
    """The variables that the app's modules name: many others are for the build of the image."""
    variables = dockerfile.variables(contents)
    sources = [contents[name] for name in contents if name.endswith(".py")] if variables else []
    return PlatformSettings(
        variables={name: value for name, value in variables.items() if any(name.encode() in text for text in sources)}
    )


def _of_flaskenv(contents: Mapping[str, bytes]) -> PlatformSettings:
    sources = [contents[name] for name in contents if name.endswith(".py")]
    # The app may load the file itself.
    if any(_FLASKENV.encode() in source for source in sources):
        return PlatformSettings()
    # Without these variables, Flask serves as for visitors. Only an app that reads them itself needs them.
    unread = {name for name in _FOR_VISITORS if not any(name.encode() in source for source in sources)}
    variables = dotenv.read(contents[_FLASKENV])
    return PlatformSettings(
        variables={name: _FOR_VISITORS.get(name, value) for name, value in variables.items() if name not in unread}
    )


def _of_checks(contents: Mapping[str, bytes]) -> PlatformSettings:
    """The file CHECKS of Dokku: lines with a path and the text of its page."""
    lines = contents["CHECKS"].decode(errors="replace").splitlines()
    paths = (_path(line.split()[0]) for line in lines if line.split() and not line.startswith(("#", "//")))
    return PlatformSettings(health_path=next(filter(None, paths), ""))


_READERS: dict[str, Callable[[Mapping[str, bytes]], PlatformSettings]] = {
    _APP_JSON: _of_app_json,
    _HEROKU: _of_heroku,
    _RENDER: _of_render,
    _FLY: _of_fly,
    "railway.json": _of_railway("railway.json"),
    "railway.toml": _of_railway("railway.toml"),
    _APP_ENGINE: _of_app_engine,
    ".do/app.yaml": _of_digital_ocean(".do/app.yaml"),
    ".do/deploy.template.yaml": _of_digital_ocean(".do/deploy.template.yaml"),
    dockerfile.NAME: _of_dockerfile,
    "CHECKS": _of_checks,
    _FLASKENV: _of_flaskenv,
}


def _addons(value: object) -> list[str]:
    """The add-ons of app.json or heroku.yml: the plan of each, or "plan as name" if it has a name of its own."""
    found: list[str] = []
    for item in documents.items(value):
        table = documents.table(item)
        plan, alias = table.get("plan", item), table.get("as")
        if isinstance(plan, str):
            found.append(f"{plan} as {alias}" if isinstance(alias, str) else plan)
    return found


def _add_count(result: PlatformSettings, process: str, value: object) -> None:
    # A larger number is no number of processes.
    if re.fullmatch(r"\d{1,2}", str(value), re.ASCII):
        result.counts[process] = int(str(value))


def _path(value: object) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"/[^\s\x00-\x1f]*", value) else ""


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
