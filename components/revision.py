"""A git revision of the app's folder, packed as a clean checkout of it would be: the same on every machine."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from components import artifact
from components.artifact import Artifact
from components.errors import UserError

# So long is the name of a release, and nothing else that `release` may be: a commit is written with more or fewer.
_KEPT = re.compile(rf"[0-9a-f]{{{artifact.DIGEST_DIGITS}}}")
# What a hook or another git has set would lead to its repository instead of the app's.
_OF_ANOTHER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")


class RevisionError(UserError):
    """The revision can't be packed; the text says why and what to do."""


@dataclass(frozen=True)
class Wanted:
    """A release by its name, its tarball (None for one that the servers keep), and the revision that was asked for."""

    release: str
    tarball: Path | None
    revision: str | None = None


def wanted(app: Path, release: str | None, into: Path) -> Wanted:
    """What the setting ``release`` means: the folder as it is, a release that the servers keep, or a git revision."""
    if release and _KEPT.fullmatch(release):
        return Wanted(release, None)
    if release is None:
        packed = artifact.pack(app, into)
        return Wanted(packed.release, packed.path)
    repository = _repository(app, release)
    commit = repository.commit(release)
    packed = _pack(app, release, repository, commit, into)
    return Wanted(packed.release, packed.path, commit if commit.startswith(release) else f"{release} at {commit[:12]}")


def procfile(app: Path, release: str | None) -> str | None:
    """The Procfile of what ``release`` means, empty where it has none.

    None where only the servers know it, or where it can't be had, of which packing says why.
    """
    if release and _KEPT.fullmatch(release):
        return None
    try:
        if release:
            repository = _repository(app, release)
            return repository.content(repository.commit(release), "Procfile").removeprefix("\ufeff")
        file = app / "Procfile"
        return file.read_text("utf-8-sig") if file.exists() else ""
    except (OSError, ValueError, RevisionError):
        return None


def _pack(app: Path, name: str, repository: _Repository, commit: str, into: Path) -> Artifact:
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        repository.check_out(commit, tree)
        try:
            return artifact.pack(tree / repository.folder, into)
        except UserError as error:
            here = str((tree / repository.folder).resolve())
            raise RevisionError(str(error).replace(here, f"{app} at {name}")) from None


@dataclass(frozen=True)
class _Repository:
    """The repository at ``top`` and the app's ``folder`` in it; without an index or a work tree of its own."""

    top: Path
    folder: str
    environment: dict[str, str]

    def commit(self, name: str) -> str:
        """The commit that ``name`` stands for."""
        found = self._git("rev-parse", "--verify", f"{name}^{{commit}}")
        if found.returncode == 0:
            return found.stdout.strip()
        if "ambiguous" in found.stderr:
            raise RevisionError(
                f"release is {name!r}, which several commits of {self.top} start with: give more digits"
            )
        shallow = self._git("rev-parse", "--is-shallow-repository").stdout.strip() == "true"
        remedy = "git fetch --unshallow --tags" if shallow else "git fetch --all --tags"
        raise RevisionError(
            f"release is {name!r}, but {self.top} has no such branch, tag or commit"
            f"{': it is a shallow clone' if shallow else ''}; fetch it with: git -C {self.top} {remedy[4:]}"
        )

    def content(self, commit: str, name: str) -> str:
        """A file of the app at the commit; empty where there is none."""
        return self._git("show", f"{commit}:{self.folder}/{name}" if self.folder else f"{commit}:{name}").stdout

    def check_out(self, commit: str, tree: Path) -> None:
        """Write the app's files, and what decides which of them count, as a clean checkout has them.

        Not by `git archive`: that leaves out what a checkout has (export-ignore) and changes files (export-subst).
        """
        tracked = self._tracked(commit)
        (tree / ".git").mkdir(parents=True)  # the end of the search for .gitignore files
        index = replace(self, environment={**self.environment, "GIT_INDEX_FILE": str(tree.parent / "index")})
        index.need("read-tree", commit)
        # Line endings and links as the repository has them, whatever this computer's owner prefers.
        same = ("-c", "core.autocrlf=false", "-c", "core.eol=lf", "-c", "core.symlinks=true")
        index.need(*same, f"--work-tree={tree}", "checkout-index", "-z", "--stdin", given="\0".join(tracked))

    def _tracked(self, commit: str) -> list[str]:
        """The app's files at the commit, and the .gitignore and .gitattributes files above them."""
        above = [parent.as_posix() for parent in Path(self.folder).parents] if self.folder else []
        rules = [f"{parent}/{name}".removeprefix("./") for parent in above for name in (".gitignore", ".gitattributes")]
        listed = self.need("ls-tree", "-r", "-z", "--full-tree", commit, "--", *rules, self.folder or ".").split("\0")
        entries = [(entry.split()[0], entry.partition("\t")[2]) for entry in listed if entry]
        for mode, path in entries:
            if mode == "160000":
                raise RevisionError(
                    f"the app has the submodule {path}, which isn't in its repository: leave release empty to pack"
                    " the folder with what is checked out there"
                )
        files = [path for _, path in entries]
        if not any(path.startswith(f"{self.folder}/" if self.folder else "") for path in files):
            raise RevisionError(
                f"{self.top} has no folder {self.folder} at the commit {commit[:10]}: choose a later one"
            )
        return files

    def need(self, *words: str, given: str = "") -> str:
        """What git says; its error as ours."""
        done = self._git(*words, given=given)
        if done.returncode != 0:
            raise RevisionError(f"git {words[0]} failed in {self.top}: {done.stderr.strip()}")
        return done.stdout

    def _git(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return _run(self.top, self.environment, *words, given=given)


def _repository(app: Path, name: str) -> _Repository:
    environment = {**{key: value for key, value in os.environ.items() if key not in _OF_ANOTHER}, "LC_ALL": "C"}
    app = app.resolve()
    try:
        found = _run(app, environment, "rev-parse", "--show-toplevel", "--absolute-git-dir")
    except FileNotFoundError:
        raise RevisionError(
            f"release is {name!r}, and git isn't installed: install it, or leave release empty"
        ) from None
    if found.returncode != 0:
        said = found.stderr.strip()
        why = "is in no git repository" if "not a git repository" in said else f"can't be read by git: {said}"
        raise RevisionError(
            f"release is {name!r}, but {app} {why}; leave release empty to pack the folder as it is, or give the 12"
            " digits of a release that the servers keep"
        )
    top, git_dir = map(Path, found.stdout.splitlines())
    folder = "" if app == top else app.relative_to(top).as_posix()
    return _Repository(top, folder, {**environment, "GIT_DIR": str(git_dir), "GIT_LITERAL_PATHSPECS": "1"})


def _run(folder: Path, environment: dict[str, str], *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(
        command, input=given, env=environment, capture_output=True, text=True, errors="surrogateescape"
    )
