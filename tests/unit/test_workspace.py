"""An app that is a member of a uv workspace: which files above its folder are packed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.app import artifact, workspace_root
from components.app.dependencies import DependencyError
from components.app.source import Source
from components.app.workspace import WorkspaceError
from host.packages.requirements import choose, installs_own_code
from tests.packed_app import packed
from tests.unit.tarballs import content, members

LOCK = """
[[package]]
name = "web-app"
source = { virtual = "apps/web" }
dependencies = [{ name = "flask" }, { name = "core" }]
[[package]]
name = "flask"
version = "3.1"
source = { registry = "https://index.test" }
[[package]]
name = "core"
source = { editable = "libs/core" }
dependencies = [{ name = "base" }]
[[package]]
name = "base"
source = { editable = "libs/base" }
[[package]]
name = "other"
source = { editable = "libs/other" }
"""


@pytest.fixture
def member(tmp_path: Path) -> Path:
    """The folder of an app in a workspace."""
    root = tmp_path / "mono"
    for name in ("core", "base", "other"):
        (root / f"libs/{name}").mkdir(parents=True)
        (root / f"libs/{name}/pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    (root / "libs/core/.gitignore").write_text("*.tmp\n")
    (root / "libs/core/core.tmp").touch()
    (root / "pyproject.toml").write_text(
        '[tool.uv.workspace]\nmembers = ["apps/*", "libs/*"]\nexclude = ["apps/old"]\n'
    )
    (root / "uv.lock").write_text(LOCK)
    app = root / "apps/web"
    app.mkdir(parents=True)
    (app / "pyproject.toml").write_text('[project]\nname = "web_app"\ndependencies = ["flask", "core"]\n')
    (app / "app.py").write_text("app = None\n")
    return app


def test_the_lock_and_the_needed_members_are_packed_without_ignored_files(member: Path):
    assert [name for name in members(member) if name.startswith(".workspace")] == [
        ".workspace/apps/web/pyproject.toml",
        ".workspace/libs/base/pyproject.toml",
        ".workspace/libs/core/.gitignore",
        ".workspace/libs/core/pyproject.toml",
        ".workspace/pyproject.toml",
        ".workspace/uv.lock",
    ]
    assert content(member, ".workspace/uv.lock") == LOCK.encode()

    def read(name: str) -> bytes | None:
        return content(member, name) if name in members(member) else None

    assert choose(read) == ".workspace/uv.lock"
    assert installs_own_code(read)


def test_a_revision_has_the_digest_of_the_folder(member: Path, tmp_path: Path):
    root = member.parents[1]
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@test"]
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    folder = Source(member, None).pack(tmp_path / "a")
    assert Source(member, "HEAD").pack(tmp_path / "b").name == folder.name


def test_an_app_with_a_list_of_its_own_needs_no_workspace(member: Path):
    (member / "requirements.txt").write_text("flask\n")
    assert not [name for name in members(member) if name.startswith(".workspace")]


def test_an_app_that_the_workspace_excludes_is_no_member(member: Path):
    old = member.rename(member.with_name("old"))
    assert not [name for name in members(old) if name.startswith(".workspace")]


def test_a_workspace_without_a_lock_is_refused_with_the_command(member: Path):
    (member.parents[1] / "uv.lock").unlink()
    with pytest.raises(WorkspaceError, match=r"has no uv\.lock: write it with `uv lock`"):
        packed(member)


def test_a_lock_that_lacks_a_dependency_is_refused_with_the_command(member: Path):
    (member.parents[1] / "uv.lock").write_text("version = 1\n")
    with pytest.raises(
        DependencyError, match=r"the workspace's uv\.lock doesn't .*it lacks flask; it lacks core\..*`uv lock`"
    ):
        packed(member)


def test_a_member_that_is_missing_is_named(member: Path):
    (member.parents[1] / "libs/core").rename(member.parents[1] / "libs/moved")
    with pytest.raises(WorkspaceError, match="'libs/core', which isn't a folder below"):
        packed(member)


def test_the_procfile_of_another_member_is_not_shown_as_the_apps_line(member: Path, tmp_path: Path):
    (member.parents[1] / "libs/core/Procfile").write_text("web: gunicorn core:app\n")
    assert artifact.pack(member, tmp_path / "packed").web_line == "web: gunicorn app:app"


ROOT = """
[[package]]
name = "mono"
source = { virtual = "." }
dependencies = [{ name = "flask" }, { name = "core" }]
"""
ROOT_PROJECT = '[project]\nname = "mono"\ndependencies = ["flask", "core"]\n[tool.uv.workspace]\nmembers = ["apps/*"]\n'


def notes_of_root(procfile: str, **files: str) -> list[str]:
    """The notes for the workspace's root as the app. In the names of ``files``, _ stands for a dot."""
    contents = {
        "uv.lock": f"{LOCK}{ROOT}",
        "pyproject.toml": ROOT_PROJECT,
        "Procfile": procfile,
        "apps/web/src/shop/app.py": "",
        "apps/web/pyproject.toml": '[project]\nname = "web-app"\n[project.scripts]\nserve = "shop:main"\n',
        "libs/core/core.py": "",
        **{name.replace("_", "."): text for name, text in files.items()},
    }
    return list(workspace_root.notes(Path("/mono"), {name: text.encode() for name, text in contents.items()}))


@pytest.mark.parametrize(
    "command",
    [
        "gunicorn shop.app:app",
        "uv run --package web-app gunicorn a:b",
        "cd apps/web && gunicorn a:b",
        "gunicorn --chdir=apps/web a:b",
        "PYTHONPATH=lib:apps/web/src gunicorn a:b",
        "gunicorn apps.web.app:app",
        "bash -c 'python -m web_app'",
        "serve --port $PORT",
    ],
)
def test_a_member_that_the_root_starts_but_does_not_depend_on_gets_the_line_of_pyproject_toml(command: str):
    [note] = notes_of_root(f"web: {command}\n")
    assert note.startswith("the web line of the Procfile starts apps/web, a member of the uv workspace")
    assert "add \"web-app\" to the dependencies in pyproject.toml, the line 'web-app = { workspace = true }'" in note
    assert note.endswith("`pulumi config set app /mono/apps/web`")


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("gunicorn core:app", {}),
        ("gunicorn main:app --log-level web_app", {}),
        ("gunicorn shop:app", {"shop_py": ""}),
        ("gunicorn shop.app:app", {"pyproject_toml": ROOT_PROJECT.replace("[tool.uv.workspace]", "[tool.other]")}),
        ("gunicorn shop.app:app", {"uv_lock": LOCK + ROOT.replace("core", "web-app")}),
    ],
)
def test_a_command_of_the_root_itself_or_of_a_needed_member_is_accepted(command: str, files: dict[str, str]):
    assert notes_of_root(f"web: {command}\n", **files) == []


def test_a_source_that_the_root_has_already_is_not_asked_for():
    project = f"{ROOT_PROJECT}[tool.uv.sources]\nweb_app = {{ workspace = true }}\n"
    [note] = notes_of_root("web: gunicorn shop.app:app\n", pyproject_toml=project)
    assert "dependencies in pyproject.toml, and run `uv lock`" in note
