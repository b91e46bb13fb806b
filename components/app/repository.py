"""The git repository that an app's folder is in. A revision is written out as a clean checkout of it would be."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from components.app import git
from components.errors import UserError
from host.packages.requirements import LOCK


class RevisionError(UserError):
    """The revision can't be packed; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The repository at ``top``, and the app's ``folder`` in it. Gantry uses neither its index nor its work tree."""

    top: Path
    folder: str
    env: Mapping[str, str]

    def commit(self, name: str) -> str:
        """The commit that ``name`` stands for; raises RevisionError."""
        result = self._git("rev-parse", "--verify", f"{name}^{{commit}}")
        if result.returncode == 0:
            return result.stdout.strip()
        if "ambiguous" in result.stderr:
            raise RevisionError(
                f"release is {name!r}, which several commits of {self.top} start with: give more digits"
            )
        shallow = self._git("rev-parse", "--is-shallow-repository").stdout.strip() == "true"
        fetch = "fetch --unshallow --tags" if shallow else "fetch --all --tags"
        raise RevisionError(
            f"release is {name!r}, but {self.top} has no such branch, tag or commit"
            f"{': it is a shallow clone' if shallow else ''}; fetch it with: git -C {self.top} {fetch}"
        )

    def content(self, commit: str, name: str) -> str:
        """The text of one of the app's files at the commit; empty if there is no such file."""
        return self._git("show", f"{commit}:{self.folder}/{name}" if self.folder else f"{commit}:{name}").stdout

    def check_out(self, commit: str, tree: Path) -> None:
        """Write the app's files into ``tree``. Raises RevisionError.

        It doesn't use `git archive`, which leaves files out (export-ignore) and changes others (export-subst).
        """
        names = self._tracked(commit)
        tree.mkdir(parents=True)
        with_own_index = replace(self, env={**self.env, "GIT_INDEX_FILE": str(tree.parent / "index")})
        with_own_index._run("read-tree", commit)
        # Line endings and links as the repository has them, whatever the settings of this computer's git are.
        unchanged = ("-c", "core.autocrlf=false", "-c", "core.eol=lf", "-c", "core.symlinks=true")
        with_own_index._run(
            *unchanged, f"--work-tree={tree}", "checkout-index", "-z", "--stdin", stdin="\0".join(names)
        )

    def _tracked(self, commit: str) -> list[str]:
        """The app's files at the commit, those of its uv workspace, and the .gitattributes files above them."""
        parents = [parent.as_posix() for parent in Path(self.folder).parents] if self.folder else []
        attributes = [f"{parent}/.gitattributes".removeprefix("./") for parent in parents]
        folder = self._workspace(commit, parents) or self.folder or "."
        listing = self._run("ls-tree", "-r", "-z", "--full-tree", commit, "--", *attributes, folder)
        entries = [(line.split()[0], line.partition("\t")[2]) for line in listing.split("\0") if line]
        for mode, path in entries:
            if mode == "160000" and path.startswith(f"{self.folder}/" if self.folder else ""):
                raise RevisionError(
                    f"the app has the submodule {path}, which isn't in its repository: leave release empty to pack"
                    " the folder with what is checked out there"
                )
        names = [path for mode, path in entries if mode != "160000"]
        if not any(name.startswith(f"{self.folder}/" if self.folder else "") for name in names):
            raise RevisionError(
                f"{self.top} has no folder {self.folder} at the commit {commit[:10]}: set release to"
                " a commit that has this folder"
            )
        return names

    def _workspace(self, commit: str, parents: list[str]) -> str | None:
        """The folder above the app that has a uv.lock, which may lock the app's packages, too."""
        return next((folder for folder in parents if self._has(commit, f"{folder}/{LOCK}".removeprefix("./"))), None)

    def _has(self, commit: str, path: str) -> bool:
        return self._git("cat-file", "-e", f"{commit}:{path}").returncode == 0

    def _run(self, *words: str, stdin: str = "") -> str:
        """Git's standard output; raises RevisionError with its standard error."""
        result = self._git(*words, stdin=stdin)
        if result.returncode != 0:
            raise RevisionError(f"git {words[0]} failed in {self.top}: {result.stderr.strip()}")
        return result.stdout

    def _git(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return _git(self.top, self.env, *words, stdin=stdin)


def repository_of(app: Path, revision: str) -> Repository:
    """The repository that the folder ``app`` is in; raises RevisionError, which quotes ``revision``."""
    env = git.variables()
    app = app.resolve()
    try:
        result = _git(app, env, "rev-parse", "--show-toplevel", "--absolute-git-dir")
    except FileNotFoundError:
        raise RevisionError(
            f"release is {revision!r}, and git isn't installed: install it, or leave release empty"
        ) from None
    if result.returncode != 0:
        stderr = result.stderr.strip()
        reason = "is in no git repository" if "not a git repository" in stderr else f"can't be read by git: {stderr}"
        raise RevisionError(
            f"release is {revision!r}, but {app} {reason}; leave release empty to pack the folder as it is, or give"
            " the 12 digits of a release that the servers keep"
        )
    top, git_dir = map(Path, result.stdout.splitlines())
    folder = "" if app == top else app.relative_to(top).as_posix()
    return Repository(top=top, folder=folder, env={**env, "GIT_DIR": str(git_dir), "GIT_LITERAL_PATHSPECS": "1"})


def _git(folder: Path, env: Mapping[str, str], *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, input=stdin, env=env, capture_output=True, text=True, errors="surrogateescape")
