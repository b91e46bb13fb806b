"""Installs an app's packages into a new virtual environment, from the file that lists them, and Gunicorn."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from host import files
from host.errors import ReleaseError
from host.packages import index_access, locks, requirement_list, requirements, uv, uv_cache
from host.packages.isolation import BUILD_USER
from host.packages.markers import PRINT_ENVIRONMENT
from host.packages.requirements import LIST, LOCK, PYLOCK, WORKSPACE_LOCK, Read
from host.paths import Paths
from host.reason import without_values

# From this version on, Gunicorn loses no request when it is stopped.
LOSSLESS_GUNICORN = (27, 0, 1)
# More modules than this are compiled by several processes.
LARGE = 1000
# uv's errors without an answer of the registry. A second attempt would fail as slowly.
_UNREACHABLE = re.compile(r"error sending request|Request failed after|Could not connect|operation timed out")


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where packages are installed, and what from. ``python`` is the path of the virtual environment's Python."""

    paths: Paths
    release: Path
    source: str
    folder: Path
    python: str
    # The locked requirements of the Gunicorn for this Python.
    gunicorn: Path
    # All variables of the app. uv gets those that say where packages come from.
    variables: Mapping[str, str]

    @property
    def read(self) -> Read:
        """Reads the files of the release."""
        return reader(self.release)

    def run(
        self,
        command: list[str],
        folder: Path | None = None,
        texts: Sequence[str] = (),
        *,
        private_cache: Path | None = None,
    ) -> str:
        """Run a command as the build user, in the release's folder or in ``folder``; returns its output.

        ``texts`` are the contents of the lists of packages that it reads. Raises ReleaseError if they name a variable
        that isn't set, or with uv's error, in which names stand for the logins. See ``uv.run`` for ``private_cache``.
        """
        self._require_variables(texts)
        variables = index_access.for_uv(self.variables, self.read, self.source, *texts)
        try:
            return uv.run(command, folder or self.release, variables, writable=self.folder, private_cache=private_cache)
        except ReleaseError as error:
            # Addresses stay readable: ``uv.run`` has removed their passwords.
            logins = {name: value for name, value in variables.items() if "://" not in value}
            raise ReleaseError(*(without_values(text, logins) for text in (error.message, error.advice))) from None

    def install(self, command: list[str], folder: Path, texts: Sequence[str] = ()) -> None:
        """Run a command of `uv pip` that installs the app's packages. The arguments and errors are those of ``run``.

        Packages that have wheels are installed without running their code, and stay in uv's cache. If that isn't
        possible, or other packages are there already, packages are built with a private copy of the cache.
        """
        if not self._has_packages():
            try:
                self.run([*command, "--no-build"], folder, texts)
                # The environment has the same files as the cache. From now on, code of packages may run.
                uv_cache.protect(self.paths.uv_cache)
                return
            except ReleaseError as error:
                if _UNREACHABLE.search(error.message):
                    raise
        with self.private_cache() as cache:
            self.run(command, folder, texts, private_cache=cache)

    def private_cache(self) -> AbstractContextManager[Path]:
        """A copy of uv's cache in the virtual environment's folder, for the time of the block."""
        return uv_cache.private_copy(self.paths, self.folder / "cache")

    def _has_packages(self) -> bool:
        """Whether something is installed: its code may run when Python starts."""
        names = {path.name for path in self.folder.glob("lib/python3*/site-packages/*")}
        return bool(names - {"_virtualenv.py", "_virtualenv.pth", "__pycache__"})

    def _require_variables(self, texts: Sequence[str]) -> None:
        if unset := index_access.unset({**os.environ, **self.variables}, *texts):
            names = ", ".join(f"${{{name}}}" for name in unset)
            raise ReleaseError(
                f"{requirements.shown(self.source)} names {names}, and the app has no such variable",
                "\n".join(f"Set it: pulumi config set --secret --path env.{name} <value>" for name in unset),
            )

    def pip(self, verb: str) -> list[str]:
        """The first words of a command of `uv pip`."""
        python = str(self.folder / "bin/python")
        return [str(self.paths.uv), "pip", "--quiet", verb, "--python", python]


def reader(release: Path) -> Read:
    """A function that reads the files of an unpacked release, and none outside of it: root reads what lists name."""
    top = release.resolve()

    def read(name: str) -> bytes | None:
        path = release / name
        return path.read_bytes() if path.is_file() and path.resolve().is_relative_to(top) else None

    return read


def install(installation: Installation) -> list[str]:
    """Create the virtual environment and install the packages; returns notes for the output.

    Raises ReleaseError with the reason.
    """
    folder, read = installation.folder, installation.read
    # The build user may write to this folder and not beside it.
    folder.mkdir(parents=True)
    shutil.chown(folder, BUILD_USER, BUILD_USER)
    program = str(installation.paths.uv)
    installation.run([program, "venv", "--quiet", "--allow-existing", "--python", installation.python, str(folder)])
    notes = _install_packages(installation)
    count = len(list(folder.glob("lib/python3*/site-packages/*.dist-info")))
    notes.insert(
        0, f"installed from {requirements.shown(installation.source)}, {count} package{'' if count == 1 else 's'}"
    )
    if others := requirements.unused(read):
        notes.append(f"{' and '.join(others)} {'is' if len(others) == 1 else 'are'} not used")
    notes += _install_gunicorn(installation)
    _compile(installation)
    return notes


def _compile(installation: Installation) -> None:
    """Compile all modules to bytecode. Python itself does that, without any code of the packages."""
    folders = [str(path) for path in installation.folder.glob("lib/python3*/site-packages")]
    # One process for each processor takes longer to start than a few modules to compile.
    is_large = sum(1 for _ in installation.folder.glob("lib/python3*/site-packages/**/*.py")) > LARGE
    processes = "0" if is_large else "1"
    command = [installation.python, "-I", "-S", "-m", "compileall", "-q", "-q", "-j", processes, *folders]
    # Some packages have files that aren't valid Python, such as templates.
    with suppress(ReleaseError):
        installation.run(command, private_cache=installation.folder / "cache")


def _install_packages(installation: Installation) -> list[str]:
    """Install what the source lists. The app's own packages are built in a copy: builds write into their folder."""
    listing = requirement_list.read_list(installation.read) if installation.source == LIST else None
    if not (requirements.installs_own_code(installation.read) or (listing and any(listing.own_code.values()))):
        return _install_from(installation, installation.release, listing)
    copy = installation.folder / "source"
    shutil.copytree(installation.release, copy, symlinks=True)
    for path in (copy, *copy.rglob("*")):
        shutil.chown(path, BUILD_USER, BUILD_USER) if not path.is_symlink() else None
    try:
        return _install_from(installation, copy, listing)
    finally:
        shutil.rmtree(copy)


def _install_from(
    installation: Installation, folder: Path, listing: requirement_list.RequirementList | None
) -> list[str]:
    """Install with ``folder`` as the app's folder."""
    source = installation.source
    if listing:
        _install_list(installation, folder, listing)
    elif source == LOCK:
        _install_lock(installation, folder, ["--no-emit-project"])
    elif source == WORKSPACE_LOCK:
        name = str(requirements.project(installation.read)["name"])
        options = ["--package", name, "--no-emit-package", name]
        _install_lock(installation, folder / requirements.WORKSPACE, options)
    elif source == PYLOCK:
        installation.install([*installation.pip("sync"), "--allow-empty-requirements", source], folder)
    elif source in locks.CONVERTED:
        return _install_converted(installation, folder)
    else:
        installation.install([*installation.pip("install"), "--requirement", source], folder)
    return []


def _install_list(installation: Installation, folder: Path, listing: requirement_list.RequirementList) -> None:
    name = LIST
    if listing.is_rewritten:
        below = installation.folder / "requirements"
        for file, text in requirement_list.files_for_uv(listing, str(folder)):
            _write(below / file, text)
        name = str(below / LIST)
    # Without this option, uv doesn't verify the packages that have no hash in the list.
    has_hash = any("--hash=" in line for lines in listing.lines.values() for line in lines)
    options = ["--require-hashes"] if has_hash else []
    command = [*installation.pip("install"), *options, "--requirement", name]
    installation.install(command, folder, list(listing.texts.values()))


def _install_lock(installation: Installation, folder: Path, options: list[str]) -> None:
    # uv installs a lock from the registry that the lock names, but an exported list from the server's own index.
    locked, python = str(installation.folder / "locked.txt"), str(installation.folder / "bin/python")
    export = [str(installation.paths.uv), "export", "--quiet", "--frozen", "--no-dev", "--no-default-groups"]
    export += [*options, "--no-editable", "--no-header", "--python", python, "--output-file", locked]
    installation.run(export, folder)
    installation.install([*installation.pip("sync"), "--allow-empty-requirements", locked], folder)


def _install_converted(installation: Installation, folder: Path) -> list[str]:
    """Install from a lock that uv can't read; returns notes."""
    source = installation.source
    # Isolated (-I): otherwise a platform.py of the app would run, and it could write to uv's cache.
    command = [str(installation.folder / "bin/python"), "-I", "-c", PRINT_ENVIRONMENT]
    environment = json.loads(installation.run(command))
    try:
        text = locks.as_requirements(installation.read, source, environment)
    except ValueError as error:
        raise ReleaseError(str(error)) from None
    file = installation.folder / "locked.txt"
    _write(file, text)
    installation.install([*installation.pip("sync"), "--allow-empty-requirements", str(file)], folder, [text])
    # Only Pipenv's lock may have packages without a version.
    open_ones = [line for line in text.splitlines() if re.fullmatch(r"[\w.-]+", line)]
    if "--hash=" in text and not open_ones:
        return []
    # Such a lock may be incomplete. Then uv chooses the versions of the missing packages, and a note names them.
    before = _packages(installation.folder)
    installation.install([*installation.pip("install"), "--requirement", str(file)], folder, [text])
    added = sorted(_packages(installation.folder) - before)
    command = requirements.LOCK_COMMANDS[source]
    notes = (
        [f"{source} lacks {', '.join(added)}, installed without a lock: lock again with `{command}`"] if added else []
    )
    if open_ones:
        notes.append(
            f"{source} has no version of {', '.join(open_ones)}, so the newest was installed: lock on Linux with"
            f" `{command}`"
        )
    return notes


def _packages(folder: Path) -> set[str]:
    """The installed packages, as name-version."""
    return {path.name.removesuffix(".dist-info") for path in folder.glob("lib/python3*/site-packages/*.dist-info")}


def _write(path: Path, text: str) -> None:
    """Write a file that the build user can read. A link that the build user made under this name isn't followed."""
    files.write(path, text.encode(), 0o644)


def _install_gunicorn(installation: Installation) -> list[str]:
    """Install Gantry's Gunicorn unless the app brings its own, and what it needs for gevent; returns notes."""
    folder = installation.folder
    if (folder / "bin/gunicorn").exists():
        return _check_own_gunicorn(installation)
    _install_locked(installation, installation.gunicorn)
    modules = next(folder.glob("lib/python3*/site-packages"), folder)
    if (modules / "gevent").is_dir() and not (modules / "packaging").is_dir():
        _install_locked(installation, installation.paths.gevent_requirements)
        return ["packaging added, which Gunicorn needs for gevent"]
    return _warnings(folder) if installation.gunicorn == installation.paths.older_gunicorn_requirements else []


def _install_locked(installation: Installation, file: Path) -> None:
    """Install Gantry's own packages. The app's registries and logins aren't used."""
    command = [*installation.pip("install"), "--require-hashes", "--requirement", str(file)]
    with installation.private_cache() as cache:
        run = partial(uv.run, folder=installation.release, writable=installation.folder, private_cache=cache)
        try:
            # The first boot has put Gunicorn into uv's cache. The package registry may be out of reach.
            run([*command, "--offline"])
        except ReleaseError:
            run(command)


def _check_own_gunicorn(installation: Installation) -> list[str]:
    """Check that the app's Gunicorn runs with this Python; returns a warning about an old one."""
    try:
        command = [str(installation.folder / "bin/python"), "-c", "import gunicorn.app.wsgiapp"]
        installation.run(command, private_cache=installation.folder / "cache")
    except ReleaseError as error:
        raise ReleaseError(
            f"the app's gunicorn {_gunicorn_version(installation.folder)} doesn't run with this Python:"
            f" {error.message.splitlines()[-1]}",
            f"Take gunicorn out of {installation.source}: the server brings one that fits its Python.",
        ) from None
    return _warnings(installation.folder)


def _gunicorn_version(folder: Path) -> str:
    metadata = next(folder.glob("lib/python3*/site-packages/gunicorn-*.dist-info"), None)
    return metadata.name.removeprefix("gunicorn-").removesuffix(".dist-info") if metadata else ""


def _warnings(folder: Path) -> list[str]:
    """A warning if Gunicorn is an old version."""
    version = _gunicorn_version(folder)
    if tuple(int(part) for part in re.findall(r"\d+", version)[:3]) >= LOSSLESS_GUNICORN:
        return []
    lossless = ".".join(map(str, LOSSLESS_GUNICORN))
    return [f"the app's gunicorn {version} may cut requests off at a release, {lossless} and newer don't"]
