"""Steps and buildpacks in app.json, which Heroku and Dokku run and servers don't: what to write instead."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from components.app import documents
from components.app.heroku_files import command_of, with_scripts
from components.app.suspects import printable
from host import procfile
from host.packages import aptfile

NAME = "app.json"
# Buildpacks whose work servers do, that an app on a server doesn't need, or that other sentences are about.
_DONE_BY_SERVERS = re.compile(r"python|apt\b|nodejs|nginx|pg-?bouncer|metrics|runtime-dyno|poetry|pipenv|uv\b|multi")
# The Debian packages in place of buildpacks.
_PACKAGES = {
    "ffmpeg": "ffmpeg",
    "chromedriver": "chromium-driver",
    "chrome": "chromium",
    "geo": "gdal-bin",
    "tesseract": "tesseract-ocr",
    "poppler": "poppler-utils",
    "imagemagick": "imagemagick",
    "graphviz": "graphviz",
    "pandoc": "pandoc",
    "libreoffice": "libreoffice-nogui",
    "ghostscript": "ghostscript",
    "java": "default-jre-headless",
    "jvm": "default-jre-headless",
    "git": "git",
}


def notes(contents: Mapping[str, bytes], apt_packages: Collection[str] = ()) -> Iterator[str]:
    """Sentences about parts of app.json that have no effect on servers.

    ``contents`` are the files of the app by name, with a valid Procfile. ``apt_packages`` are Debian packages that
    servers have besides those of the Aptfile.
    """
    commands = procfile.processes(procfile.decode(contents["Procfile"]))
    yield from _steps(contents, commands)
    yield from _buildpacks(contents, apt_packages)


def _steps(contents: Mapping[str, bytes], commands: Mapping[str, str]) -> Iterator[str]:
    """One sentence for the steps of a deploy, because a Procfile has one `release` line."""
    scripts = documents.table(documents.read(contents, NAME).get("scripts"))
    dokku = documents.table(scripts.get("dokku"))
    written = with_scripts("\n".join(commands.values()), contents)
    is_once = not dokku and "postdeploy" in scripts
    steps = {name: command_of((scripts if is_once else dokku).get(name)) for name in ("predeploy", "postdeploy")}
    missing = {name: command for name, command in steps.items() if command and command not in written}
    if not missing or all(part.strip() in written for step in missing.values() for part in step.split("&&")):
        return
    line = " && ".join(filter(None, [commands.get("release", ""), *missing.values()]))
    how = "change the line of the Procfile to" if "release" in commands else "add the line"
    if is_once:
        yield (
            f"servers don't run postdeploy of {NAME}, which Heroku runs once for a new app: if it may run with each"
            f" release, {how} 'release: {line}'"
        )
        return
    how = how if "release" in commands else f"to run them before the switch, {how}"
    advice = f"{how} 'release: {line}'"
    if "predeploy" in missing:
        advice += "; commands that make files belong in a `build` line"
    yield f"servers don't run {' and '.join(missing)} of {NAME}: {advice}"


def _buildpacks(contents: Mapping[str, bytes], apt_packages: Collection[str]) -> Iterator[str]:
    """One sentence about the buildpacks whose work nothing else does."""
    listed = {*aptfile.packages(contents.get(aptfile.NAME, b"")), *apt_packages}
    places, packages, others = dict[str, None](), dict[str, None](), list[str]()
    for place, url in _listed_buildpacks(contents):
        name = re.sub(r"^.*[/:]|\.git$|\.tgz$|[#?].*$", "", url.removesuffix("/")).lower()
        name = re.sub(r"heroku-|buildpack-?|-?buildpack", "", name)
        if _DONE_BY_SERVERS.search(name) or not name:
            continue
        package = next((package for part, package in _PACKAGES.items() if part in name), None)
        if package in listed:
            continue
        places[place] = None
        if package:
            packages[package] = None
        else:
            others.append(printable(name))
    if not places:
        return
    advice = (
        [f"add {' and '.join(packages)} to the Aptfile{', one a line' if len(packages) > 1 else ''}"]
        if packages
        else []
    )
    if others:
        advice.append(f"if the app needs {' and '.join(others)}, add the Debian packages for that to the Aptfile")
    yield f"servers don't use the buildpacks of {' and '.join(places)}: {'; '.join(advice)}"


def _listed_buildpacks(contents: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """The buildpacks of app.json and of .buildpacks, each with its file."""
    for item in documents.items(documents.read(contents, NAME).get("buildpacks")):
        url = documents.table(item).get("url", item)
        if isinstance(url, str):
            yield NAME, url
    for line in contents.get(".buildpacks", b"").decode(errors="replace").splitlines():
        if line.strip() and not line.startswith("#"):
            yield ".buildpacks", line.strip()
