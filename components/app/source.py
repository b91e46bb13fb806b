"""Which code becomes a release: the app's folder, a git revision of it, or a release that the servers keep."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pulumi

from components.app import artifact
from components.app.configured import Configured
from components.app.listing import checked_out_files
from components.app.repository import Repository, RevisionError, repository_of
from components.errors import UserError
from components.settings.common import CommonSettings
from host import procfile

# Exactly this many digits always name a kept release. A commit must be written with more or fewer digits.
_KEPT_RELEASE = re.compile(rf"[0-9a-f]{{{artifact.DIGEST_DIGITS}}}")


@dataclass(frozen=True, kw_only=True)
class Release:
    """The release to serve.

    ``name`` is the first 12 digits of its digest. ``tarball`` is None if the servers keep the release. ``revision`` is
    the git revision as the history on the servers shows it; None if the release isn't from git.
    """

    name: str
    tarball: Path | None
    revision: str | None = None


@dataclass(frozen=True)
class Source:
    """The code that the settings ``app`` and ``release`` name; ``setting`` None stands for the folder as it is.

    ``apt_packages`` are the Debian packages of the setting, which servers install for any app. ``configured`` has the
    settings that the app's files may have, too.
    """

    app: Path
    setting: str | None
    apt_packages: tuple[str, ...] = ()
    configured: Configured = field(default_factory=Configured)

    @staticmethod
    def of(settings: CommonSettings) -> Source:
        """The code that a stack's settings name."""
        configured = Configured(
            env=settings.env,
            servers=settings.servers,
            processes=settings.processes,
            singletons=settings.singletons,
            health_path=settings.health_path,
        )
        return Source(settings.app, settings.release, settings.apt_packages, configured)

    def procfile(self) -> str | None:
        """The text of the Procfile; empty if the app has none.

        None if only the servers have it, or if it can't be read. In the second case, ``pack`` raises the error.
        """
        if self._is_kept:
            return None
        try:
            if self.setting:
                repository = repository_of(self.app, self.setting)
                return procfile.decode(os.fsencode(repository.content(repository.commit(self.setting), "Procfile")))
            file = self.app / "Procfile"
            return procfile.decode(file.read_bytes()) if file.exists() else ""
        except (OSError, ValueError, RevisionError):
            return None

    def pack(self, into: Path) -> Release:
        """The release, packed as a file in the folder ``into`` unless the servers keep it. Raises UserError."""
        if self.setting is None:
            packed = artifact.pack(self.app, into, apt_packages=self.apt_packages, configured=self.configured)
            _show(packed)
            return Release(name=packed.release, tarball=packed.path)
        if self._is_kept:
            return Release(name=self.setting, tarball=None)
        repository = repository_of(self.app, self.setting)
        commit = repository.commit(self.setting)
        packed = self._pack_commit(repository, commit, into)
        _show(packed)
        revision = commit if commit.startswith(self.setting) else f"{self.setting} at {commit[:12]}"
        return Release(name=packed.release, tarball=packed.path, revision=revision)

    @property
    def _is_kept(self) -> bool:
        return bool(self.setting and _KEPT_RELEASE.fullmatch(self.setting))

    def _pack_commit(self, repository: Repository, commit: str, into: Path) -> artifact.Artifact:
        with tempfile.TemporaryDirectory() as folder:
            # The app may import itself by the name of its folder.
            tree = Path(folder) / "tree" / repository.top.name
            repository.check_out(commit, tree)
            try:
                return artifact.pack(
                    tree / repository.folder,
                    into,
                    files=checked_out_files,
                    apt_packages=self.apt_packages,
                    configured=self.configured,
                )
            except UserError as error:
                checkout = (tree / repository.folder).resolve()
                text = str(error).replace(str(checkout), f"{self.app} at {self.setting}")
                raise RevisionError(text.replace(str(checkout.parent), str(self.app.parent))) from None


def _show(packed: artifact.Artifact) -> None:
    for note in packed.notes:
        pulumi.log.warn(note)
    if packed.web_line:
        pulumi.log.info(
            f"the app has no Procfile, so servers run '{packed.web_line}': to run another command, write one"
        )
