"""Which code becomes a release: the app's folder, a git revision of it, or a release that the servers keep."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from components.app import artifact
from components.app.repository import Repository, RevisionError, repository_of
from components.errors import UserError

# Only a kept release is named by exactly so many digits: a commit is written with more or fewer.
_KEPT_RELEASE = re.compile(rf"[0-9a-f]{{{artifact.DIGEST_DIGITS}}}")


@dataclass(frozen=True, kw_only=True)
class Release:
    """What the servers should serve.

    ``name`` is the digest's first 12 digits. ``tarball`` is None where the servers keep the release.
    ``revision`` is what the history on the servers shows of a git revision.
    """

    name: str
    tarball: Path | None
    revision: str | None = None


@dataclass(frozen=True)
class Source:
    """The code that the settings ``app`` and ``release`` name; ``setting`` None stands for the folder as it is."""

    app: Path
    setting: str | None

    def procfile(self) -> str | None:
        """The text of the Procfile, empty where there is none.

        None where only the servers know it, or where it can't be read: then packing says why.
        """
        if self._is_kept:
            return None
        try:
            if self.setting:
                repository = repository_of(self.app, self.setting)
                return repository.content(repository.commit(self.setting), "Procfile").removeprefix("\ufeff")
            file = self.app / "Procfile"
            return file.read_text("utf-8-sig") if file.exists() else ""
        except (OSError, ValueError, RevisionError):
            return None

    def pack(self, into: Path) -> Release:
        """The release, packed as a file in the folder ``into`` unless the servers keep it. Raises UserError."""
        if self.setting is None:
            packed = artifact.pack(self.app, into)
            return Release(name=packed.release, tarball=packed.path)
        if self._is_kept:
            return Release(name=self.setting, tarball=None)
        repository = repository_of(self.app, self.setting)
        commit = repository.commit(self.setting)
        packed = self._pack_commit(repository, commit, into)
        revision = commit if commit.startswith(self.setting) else f"{self.setting} at {commit[:12]}"
        return Release(name=packed.release, tarball=packed.path, revision=revision)

    @property
    def _is_kept(self) -> bool:
        return bool(self.setting and _KEPT_RELEASE.fullmatch(self.setting))

    def _pack_commit(self, repository: Repository, commit: str, into: Path) -> artifact.Artifact:
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder) / "tree"
            repository.check_out(commit, tree)
            try:
                return artifact.pack(tree / repository.folder, into)
            except UserError as error:
                checkout = str((tree / repository.folder).resolve())
                raise RevisionError(str(error).replace(checkout, f"{self.app} at {self.setting}")) from None
