"""The packages that a server installs for an app, as far as the app's files name them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from components.app.dependencies import SERVER_PYTHON, DependencyError
from host.packages import locks, markers, python_versions, requirement_list, requirements, versions
from host.packages.dependency import need_of
from host.packages.lock_graph import Need
from host.packages.locked import normalized
from host.packages.project_files import load

Contents = Mapping[str, bytes]
# The extras of each package. All have the extra "".
Extras = dict[str, set[str]]
_COMMENT = re.compile(r"(?:^|\s)#.*$")
# A line of requirements.txt that installs the app itself.
_APP_ITSELF = re.compile(r"\s*\./?(?:\[([^\]]*)\])?\s*(?:[;#].*)?$")


def find(contents: Contents) -> Extras:
    """The packages that a server installs, by their normalized names, without those of other groups.

    Packages that these depend on are among them only if the app has a lock. Raises UserError if it can't be read.
    """
    read = contents.get
    source = "the list of packages"
    try:
        source = requirements.choose(read)
        needs = list(_needs(contents, source))
    except ValueError as error:
        raise DependencyError(f"the app's packages can't be installed: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise DependencyError(f"{source} can't be read ({type(error).__name__}: {error}): write it again") from None
    environment = _environment(contents)
    found: Extras = {}
    for need in needs:
        if _applies(need.marker, environment):
            found.setdefault(normalized(need.name), {""}).update(map(normalized, need.extras))
    return found


def is_older(package: str, version: str, contents: Contents) -> bool:
    """Whether the app's files allow only versions of a package before ``version``, such as 3, as far as they say."""
    read = contents.get
    try:
        source = requirements.choose(read)
        if locked := locks.versions_of(package, read, source):
            return all(versions.satisfies(f"<{version}", each) for each in locked)
        constraints = [need.constraint for need in _needs(contents, source) if normalized(need.name) == package]
    except (ValueError, KeyError, TypeError, AttributeError):
        # Other functions refuse files that can't be read.
        return False
    newer = [f"{int(version) + more}.{minor}" for more in range(10) for minor in (0, 1, 5)]
    return bool(constraints) and all(
        constraint and all(versions.satisfies(constraint, each) is False for each in newer)
        for constraint in constraints
    )


def _needs(contents: Contents, source: str) -> Iterator[Need]:
    read = contents.get
    if source == requirements.LIST:
        for line in requirement_list.installing_lines(requirement_list.read_list(read)):
            yield from _needs_of(line)
            if itself := _APP_ITSELF.match(line):
                yield from locks.own_needs(read, requirements.POETRY_LOCK)
                optional = requirements.project(read).get("optional-dependencies", {})
                wanted = {normalized(extra.strip()) for extra in (itself[1] or "").split(",")}
                texts = [text for extra in optional if normalized(extra) in wanted for text in optional[extra]]
                yield from map(need_of, texts)
        return
    # Some packages bring a server only with an extra, which only the app's own dependencies name.
    yield from locks.own_needs(read, source)
    if source in locks.CONVERTED:
        text = locks.as_requirements(read, source, _environment(contents))
        for line in text.splitlines():
            yield from _needs_of(line)
    elif source in requirements.LOCKS or source == requirements.WORKSPACE_LOCK:
        packages = load(source, contents[source]).get("packages" if source == requirements.PYLOCK else "package", [])
        if source == requirements.PYLOCK:
            yield from (Need(name=package["name"], marker=package.get("marker", "")) for package in packages)
        else:
            yield from _of_uv(packages, requirements.project(read).get("name", ""))


def _needs_of(line: str) -> Iterator[Need]:
    """The dependency in a line of a requirements file; nothing for an option or a place without a name."""
    try:
        need = need_of(_COMMENT.sub("", line).strip().removesuffix("\\").split(" --")[0])
    except ValueError:
        return
    if not need.name.startswith(("-", ".")):
        yield need


def _of_uv(packages: Iterable[dict[str, Any]], project: str) -> Iterator[Need]:
    """The packages of a uv.lock that the project depends on, without its groups and extras."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for package in packages:
        by_name.setdefault(normalized(package["name"]), []).append(package)
    waiting: list[tuple[str, frozenset[str]]] = [(normalized(project), frozenset())]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        for package in by_name.get(name, []):
            optional = package.get("optional-dependencies", {})
            wanted = [
                *package.get("dependencies", []),
                *(entry for extra in extras for entry in optional.get(extra, [])),
            ]
            for entry in wanted:
                need = Need(name=entry["name"], extras=tuple(entry.get("extra", ())), marker=entry.get("marker", ""))
                yield need
                following = (normalized(need.name), frozenset(need.extras))
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)


def _environment(contents: Contents) -> dict[str, str]:
    """The variables of markers on a server, with the Python that the app asks for."""
    version = python_versions.choose(contents.get, SERVER_PYTHON).version or SERVER_PYTHON
    machine = {"platform_machine": "x86_64", "platform_release": "", "platform_version": ""}
    return {**markers.known_on_a_server(version), **machine}


def _applies(marker: str, environment: Mapping[str, str]) -> bool:
    try:
        return markers.applies(marker, environment)
    except ValueError:
        # Such as 'dev' in dependency_groups of a pylock.toml: other groups aren't installed.
        return False
