"""Lists an app's files without git, by the rules that git has for .gitignore files."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from components.app import git, gitignore
from components.app.gitignore import Pattern
from components.errors import UserError

# Never part of an app, whatever .gitignore says. The names are those of Git, Python and its tools.
ALWAYS_IGNORED = (".git", "__pycache__", "*.py[cod]", ".venv", ".pytest_cache", ".ruff_cache", ".DS_Store")


@dataclass(frozen=True)
class Rules:
    """The patterns of one file, and the folder that they are relative to."""

    folder: Path
    patterns: tuple[Pattern, ...]

    @classmethod
    def of(cls, folder: Path, file: Path) -> Rules | None:
        """The rules of a file; None if git doesn't read it. Raises UserError."""
        try:
            is_read = stat.S_ISREG(file.lstat().st_mode)
        except OSError:
            is_read = False
        return cls(folder, tuple(gitignore.read(file))) if is_read else None

    def excludes(self, entry: Path, *, is_folder: bool) -> bool | None:
        """Whether the patterns exclude the entry. The last one that matches decides; None if none matches."""
        path = os.fsencode(entry.relative_to(self.folder))
        matching = (p.excludes for p in reversed(self.patterns) if p.matches(path, is_folder=is_folder))
        return next(matching, None)


def walk(app: Path) -> list[str]:
    """The app's files and links, relative to the folder; all .gitignore files that git would read count.

    Raises UserError for an entry that is neither a file, a link nor a folder, or that can't be read.
    """
    names: list[str] = []
    _walk(app, app, rules=_rules_above(app), names=names)
    return names


def walk_all(app: Path) -> list[str]:
    """Like ``walk``, but without any .gitignore file."""
    names: list[str] = []
    _walk(app, app, rules=None, names=names)
    return names


def is_always_ignored(name: str) -> bool:
    """Whether an entry with this name, which has no folders, is never packed."""
    return any(fnmatchcase(name, pattern) for pattern in ALWAYS_IGNORED)


def is_virtual_environment(folder: Path) -> bool:
    """Whether a folder, of any name, is a virtual environment."""
    return os.path.lexists(folder / "pyvenv.cfg")


def special(path: Path) -> UserError:
    return UserError(f"{path} is neither a file nor a folder: remove it or add it to .gitignore")


def _walk(app: Path, folder: Path, *, rules: list[Rules] | None, names: list[str]) -> None:
    """Adds the app's files in ``folder`` to ``names``. If ``rules`` is None, .gitignore files don't count."""
    if rules is not None:
        rules = [*(_rules_of_repository(folder) if folder != app and _is_top(folder) else rules), *_own_rules(folder)]
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            f"{folder} can't be read ({error.strerror}): change its permissions, or add it to .gitignore"
        ) from None
    for entry in entries:
        path, is_folder = folder / entry.name, entry.is_dir(follow_symlinks=False)
        if is_always_ignored(entry.name) or (rules and _ignored(path, rules, is_folder=is_folder)):
            continue
        if is_folder:
            if not is_virtual_environment(path):
                _walk(app, path, rules=rules, names=names)
        elif stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode) in (stat.S_IFREG, stat.S_IFLNK):
            names.append(path.relative_to(app).as_posix())
        else:
            raise special(path)


def _is_top(folder: Path) -> bool:
    return os.path.lexists(folder / ".git")


def _ignored(entry: Path, rules: list[Rules], *, is_folder: bool) -> bool:
    """Git's rule: the last matching pattern decides, and deeper .gitignore files come later."""
    decisions = [file.excludes(entry, is_folder=is_folder) for file in rules]
    return next((decision for decision in reversed(decisions) if decision is not None), False)


def _rules_above(app: Path) -> list[Rules]:
    """The rules for all repositories, of the app's repository, and of the folders from its top to above the app."""
    top = git.top_of(app) or app
    folders = [folder for folder in reversed(app.parents) if folder.is_relative_to(top)]
    return [*_rules_of_repository(top), *(rules for folder in folders for rules in _own_rules(folder))]


def _rules_of_repository(top: Path) -> list[Rules]:
    """The rules outside of .gitignore files, which have the lowest precedence."""
    files = (git.global_excludes(), git.common_folder(top) / "info/exclude")
    return [rules for file in files if (rules := Rules.of(top, file))]


def _own_rules(folder: Path) -> list[Rules]:
    rules = Rules.of(folder, folder / ".gitignore")
    return [rules] if rules else []
