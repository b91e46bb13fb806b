"""Runs git on the repository that a folder is in, whoever owns it. Its settings can't start other programs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# The variables of git that hold the user's own choices. All others may come from a hook or another git, and would point
# to another repository or change the output.
_KEPT = {
    "GIT_ASKPASS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_EXEC_PATH", "GIT_SSH",
    "GIT_SSH_COMMAND",
}  # fmt: skip
# A repository's settings can name programs that git starts, and it may lack objects that git would fetch.
_NO_PROGRAMS = ("-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null")
_NO_NETWORK = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}


@dataclass(frozen=True)
class Output:
    """The result of a git command. ``error`` is its standard error."""

    succeeded: bool
    stdout: bytes
    error: str


def variables() -> dict[str, str]:
    """The environment variables for git: those of this process, with messages in English."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key in _KEPT}
    return {**kept, "LC_ALL": "C"}


def top_of(folder: Path) -> Path | None:
    """The top folder of the repository that ``folder`` is in; None if it is in no repository."""
    return next((parent for parent in (folder, *folder.parents) if os.path.lexists(parent / ".git")), None)


def read(folder: Path, top: Path, *words: str, stdin: bytes = b"") -> Output:
    """Run a git command that only reads, in ``folder`` of the repository at ``top``.

    Git refuses a repository of another user, because its settings could start programs. With the repository's folder as
    a variable it doesn't, so `sudo make up` works. Raises FileNotFoundError if git isn't installed.
    """
    repository = {"GIT_DIR": str(top / ".git"), "GIT_WORK_TREE": str(top)}
    return _run([*_NO_PROGRAMS, *words], folder, env={**variables(), **_NO_NETWORK, **repository}, stdin=stdin)


def common_folder(top: Path) -> Path:
    """The repository's own folder; that of a linked work tree or a submodule is elsewhere. It may not exist."""
    folder = top / ".git"
    if folder.is_file():
        folder = top / os.fsdecode(folder.read_bytes().removeprefix(b"gitdir:").strip())
    common = folder / "commondir"
    return folder / os.fsdecode(common.read_bytes().strip()) if common.is_file() else folder


def global_excludes() -> Path:
    """The user's file with patterns for all repositories. It may not exist."""
    home = os.environ.get("HOME")
    default = Path(os.environ.get("XDG_CONFIG_HOME") or Path(home or "/", ".config"), "git/ignore")
    try:
        output = _run(["config", "--type=path", "--get", "core.excludesFile"], Path("/"), env=variables(), stdin=b"")
    except FileNotFoundError:
        return default
    return Path(os.fsdecode(output.stdout.rstrip(b"\n"))) if output.succeeded else default


def _run(words: list[str], folder: Path, *, env: Mapping[str, str], stdin: bytes) -> Output:
    result = subprocess.run(["git", *words], cwd=folder, env=env, input=stdin, capture_output=True)
    return Output(result.returncode == 0, result.stdout, result.stderr.decode(errors="backslashreplace").strip())
