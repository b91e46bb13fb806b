"""Lists the files of an app: all files in its folder that neither .gitignore nor Gantry excludes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pathspec

from components.errors import UserError

# Never part of an app, whatever .gitignore says. The names are those of Git, Python and its tools.
ALWAYS_IGNORED = (".git", "__pycache__", "*.py[cod]", ".venv", ".pytest_cache", ".ruff_cache", ".DS_Store")
_ALWAYS = pathspec.PathSpec.from_lines("gitignore", ALWAYS_IGNORED)


@dataclass(frozen=True)
class _Rules:
    """One .gitignore: its folder, and the patterns for folders and for files."""

    folder: Path
    for_folders: pathspec.PathSpec[Any]
    for_files: pathspec.PathSpec[Any]

    @classmethod
    def of(cls, folder: Path, lines: Iterable[str]) -> _Rules:
        patterns = list(lines)
        # "!*/" includes folders, but not their files: the walk decides on each folder and on each file.
        file_patterns = [pattern for pattern in patterns if not pattern.rstrip().endswith("/")]
        return cls(
            folder,
            pathspec.PathSpec.from_lines("gitignore", patterns),
            pathspec.PathSpec.from_lines("gitignore", file_patterns),
        )

    def excludes(self, entry: Path, *, is_folder: bool) -> bool | None:
        """Whether the patterns exclude the entry; None if no pattern matches it."""
        name = entry.relative_to(self.folder).as_posix()
        if is_folder:
            return self.for_folders.check_file(f"{name}/").include
        return self.for_files.check_file(name).include


def app_files(app: Path) -> list[str]:
    """The app's files and links, relative to the folder. .gitignore files above, in and below the folder count.

    Raises UserError for an entry that is neither a file, a link nor a folder.
    """
    names: list[str] = []
    _walk(app, app, rules=_rules_above(app), names=names)
    return names


def _walk(app: Path, folder: Path, *, rules: list[_Rules], names: list[str]) -> None:
    """Adds the app's files in ``folder`` to ``names``."""
    gitignore = folder / ".gitignore"
    if gitignore.is_file():
        rules = [*rules, _Rules.of(folder, gitignore.read_text().splitlines())]
    for entry in sorted(folder.iterdir()):
        is_folder = entry.is_dir() and not entry.is_symlink()
        if _ALWAYS.match_file(entry.name) or _ignored(entry, rules, is_folder=is_folder):
            continue
        if is_folder:
            if not (entry / "pyvenv.cfg").exists():  # a virtual environment of any name
                _walk(app, entry, rules=rules, names=names)
        elif entry.is_file() or entry.is_symlink():
            names.append(entry.relative_to(app).as_posix())
        else:
            raise UserError(f"{entry} is neither a file nor a folder: remove it or add it to .gitignore")


def _ignored(entry: Path, rules: list[_Rules], *, is_folder: bool) -> bool:
    """Git's rule: the last matching pattern decides, and deeper .gitignore files come later."""
    decisions = [file.excludes(entry, is_folder=is_folder) for file in rules]
    return next((decision for decision in reversed(decisions) if decision is not None), False)


def _rules_above(app: Path) -> list[_Rules]:
    """The .gitignore files between the root of the app's git repository and the app, outermost first."""
    folders = [app, *app.parents]
    roots = [index for index, folder in enumerate(folders) if (folder / ".git").exists()]
    between = folders[1 : roots[0] + 1] if roots else []
    gitignores = [folder / ".gitignore" for folder in reversed(between)]
    return [_Rules.of(file.parent, file.read_text().splitlines()) for file in gitignores if file.is_file()]
