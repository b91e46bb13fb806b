from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from components.app import artifact
from components.app.repository import RevisionError
from components.app.source import Release, Source
from components.errors import UserError

# Git settings that another computer may have.
OTHER_GIT_SETTINGS = {
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "core.autocrlf",
    "GIT_CONFIG_VALUE_0": "true",
    "GIT_CONFIG_KEY_1": "core.eol",
    "GIT_CONFIG_VALUE_1": "crlf",
}


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t.test", "-c", "init.defaultBranch=main")
    allowed = ("-c", "protocol.file.allow=always")
    command = ["git", "-C", str(folder), *identity, *allowed, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app in a folder of a repository, with one commit, tagged v1, and uncommitted changes."""
    repository = tmp_path / "repository"
    app = repository / "apps/.shop *"
    (app / "bin").mkdir(parents=True)
    (repository / ".gitignore").write_text("*.log\n")
    (repository / ".gitattributes").write_text("*.bat text eol=crlf\n")
    (app / ".gitattributes").write_text("tests.py export-ignore\nversion.py export-subst ident\n")
    files = {
        "requirements.txt": "flask\n",
        "Procfile": "web: gunicorn a:b\n",
        "a.py": "b = 1\n",
        "run.bat": "echo\n",
        "tests.py": "",
        "version.py": "# $Format:%H$ $Id$\n",
        "tracked.log": "ignored, but tracked\n",
        "ü\n.txt": "",
    }
    for name, text in files.items():
        (app / name).write_text(text)
    (app / "bin/run").write_text("#!/bin/sh\n")
    (app / "bin/run").chmod(0o755)
    (app / "link.py").symlink_to("a.py")
    git(repository, "init", "--quiet")
    git(repository, "add", "--all", "--force")
    git(repository, "commit", "--quiet", "--message", "one")
    git(repository, "tag", "v1")
    (app / "a.py").write_text("b = 2\n")
    (app / "untracked.py").write_text("")
    return app


def digest(app: Path, release: str | None) -> str:
    return Source(app, release).pack(app.parents[2] / "out").name


def test_a_revision_has_the_digest_of_a_clean_checkout(app: Path, tmp_path: Path):
    git(tmp_path, "clone", "--quiet", str(app.parents[1]), "clean")
    clean = artifact.pack(tmp_path / "clean" / app.relative_to(app.parents[1]), tmp_path / "out")
    assert digest(app, "v1") == clean.release
    assert digest(app, None) != clean.release  # with the uncommitted changes
    with tarfile.open(clean.path) as archive:
        assert "tracked.log" in archive.getnames()


def test_an_app_at_the_top_of_its_repository_is_packed_too(tmp_path: Path, app: Path):
    top = tmp_path / "top"
    app.rename(top)
    git(top, "init", "--quiet")
    git(top, "add", "--all", "--force")
    git(top, "commit", "--quiet", "--message", "one")
    git(tmp_path, "clone", "--quiet", str(top), "clean")
    clean = artifact.pack(tmp_path / "clean", tmp_path / "out").release
    assert Source(top, "main").pack(tmp_path / "out").name == clean


def test_the_history_gets_the_commit_and_its_branch_or_tag(app: Path, tmp_path: Path):
    commit = git(app, "rev-parse", "HEAD")
    revisions = [Source(app, name).pack(tmp_path / "out").revision for name in ("v1", commit[:7], commit, None)]
    assert revisions == [f"v1 at {commit[:12]}", commit, commit, None]


def test_branch_tag_and_commit_short_or_long_are_the_same_release(app: Path):
    commit = git(app, "rev-parse", "HEAD")
    names = ["main", "v1", "HEAD", "refs/tags/v1", commit, commit[:7], commit[:11], commit[:13]]
    assert len({digest(app, name) for name in names}) == 1


def test_git_settings_git_variables_and_umask_dont_change_the_digest(app: Path, monkeypatch: pytest.MonkeyPatch):
    before = digest(app, "v1")
    for name, value in {**OTHER_GIT_SETTINGS, "GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere/index"}.items():
        monkeypatch.setenv(name, value)
    os.umask(os.umask(0o077))
    assert digest(app, "v1") == before


def test_packing_a_revision_changes_neither_the_repository_nor_the_folder(app: Path):
    def state() -> tuple[str, str, bytes]:
        status = git(app, "status", "--porcelain")  # refreshes the index
        return status, (app / "a.py").read_text(), (app.parents[1] / ".git/index").read_bytes()

    before = state()
    digest(app, "v1")
    assert state() == before


def test_twelve_digits_always_mean_a_kept_release_and_never_a_commit_or_tag(app: Path, tmp_path: Path):
    twelve = git(app, "rev-parse", "HEAD")[:12]
    git(app, "tag", "202611230945")
    for name in (twelve, "202611230945"):
        assert Source(app, name).pack(tmp_path / "out") == Release(name=name, tarball=None)
    assert digest(app, "refs/tags/202611230945") == digest(app, "v1")


def test_the_procfile_is_the_revisions_and_unknown_for_a_kept_release(app: Path):
    (app / "Procfile").write_text("web: gunicorn a:b\nworker: a\n")
    assert Source(app, None).procfile() == "web: gunicorn a:b\nworker: a\n"
    assert Source(app, "v1").procfile() == "web: gunicorn a:b\n"
    assert Source(app, "3f2a91c0ffee").procfile() is None
    assert Source(app, "v9").procfile() is None
    git(app, "rm", "--quiet", "--cached", "Procfile")
    git(app, "commit", "--quiet", "--message", "without")
    assert Source(app, "main").procfile() == ""


def test_a_kept_release_needs_neither_git_nor_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert Source(tmp_path, "3f2a91c0ffee").pack(tmp_path).tarball is None


def test_the_error_for_an_unknown_revision_has_the_command_that_fetches_it(app: Path):
    with pytest.raises(RevisionError, match=r"'v9', but .*repository has no such .*git -C .* fetch --all --tags"):
        digest(app, "v9")


def test_the_error_for_a_revision_outside_a_shallow_clone_has_the_command_that_fetches_it(app: Path, tmp_path: Path):
    first = git(app, "rev-parse", "HEAD")
    git(app, "commit", "--quiet", "--all", "--message", "two")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{app.parents[1]}", "shallow")
    shallow = tmp_path / "shallow" / app.relative_to(app.parents[1])
    with pytest.raises(RevisionError, match=r"shallow clone; fetch it with: git -C .* fetch --unshallow --tags"):
        digest(shallow, first)


def test_the_error_for_an_app_outside_of_any_repository_says_which_settings_work(tmp_path: Path):
    with pytest.raises(RevisionError, match=r"in no git repository; leave release empty .* 12 digits"):
        Source(tmp_path, "v1").pack(tmp_path)


def test_without_git_a_revision_is_refused(app: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RevisionError, match="git isn't installed"):
        digest(app, "v1")


def test_the_error_for_a_revision_without_the_app_names_the_folder(app: Path):
    git(app, "checkout", "--quiet", "--orphan", "early")
    git(app, "rm", "-r", "-f", "--quiet", "--cached", ".")
    git(app, "commit", "--quiet", "--allow-empty", "--message", "nothing")
    with pytest.raises(RevisionError, match=r"has no folder apps/\.shop \* at the commit"):
        digest(app, "early")


def test_a_submodule_in_the_app_is_refused_because_no_revision_contains_its_files(app: Path, tmp_path: Path):
    git(tmp_path, "clone", "--quiet", str(app.parents[1]), "other")
    git(app, "submodule", "--quiet", "add", str(tmp_path / "other"), "lib")
    git(app, "commit", "--quiet", "--all", "--message", "two")
    with pytest.raises(RevisionError, match=r"the submodule apps/\.shop \*/lib"):
        digest(app, "main")


def test_an_error_about_a_revision_names_the_app_and_the_revision_but_no_temporary_folder(app: Path):
    git(app, "rm", "--quiet", "--cached", "requirements.txt")
    git(app, "commit", "--quiet", "--message", "two")
    with pytest.raises(UserError, match=r"at main can't be installed") as caught:
        digest(app, "main")
    assert str(app) in str(caught.value)
    assert "tree/apps" not in str(caught.value)
