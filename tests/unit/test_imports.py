from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("components", "host", "tools")
# The modules of tools/setup that tools/offline may import: helpers that import nothing from tools/offline.
HELPERS = {f"tools.setup.{name}" for name in ("files", "paths", "programs", "report")}
# The modules that build something, and so need tools/offline.
BUILDERS = {f"tools.setup.{name}" for name in ("engine_install", "workflows")}


def modules_in(root: Path) -> dict[str, Path]:
    """The files of the modules in the folders, by module name."""
    files = [file for folder in FOLDERS for file in (root / folder).rglob("*.py")]
    return {_name_of(file.relative_to(root)): file for file in files}


def _name_of(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def imports_of(module: str, modules: Mapping[str, Path]) -> set[str]:
    """The modules that a module imports anywhere, also inside functions and for type checkers only."""
    tree = ast.parse(modules[module].read_text())
    is_package = modules[module].name == "__init__.py"
    names = {name for node in ast.walk(tree) for name in _imported_names(node, module, is_package)}
    # `from package import name` imports the module package.name if there is one, else the package.
    imported = {name if name in modules else name.rpartition(".")[0] for name in names}
    return imported & modules.keys() - {module}


def _imported_names(node: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parents = module.split(".")[: len(module.split(".")) + is_package - node.level] if node.level else []
        package = ".".join([*parents, *([node.module] if node.module else [])])
        yield from (f"{package}.{alias.name}" for alias in node.names)


def cycle_in(root: Path) -> list[str]:
    """The modules of an import cycle, or an empty list."""
    modules = modules_in(root)
    graph = {module: imports_of(module, modules) for module in modules}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib lists each module before the one that imports it.
        return list(reversed(error.args[1]))
    return []


def test_no_modules_import_each_other():
    assert cycle_in(ROOT) == []


@pytest.mark.parametrize(
    "text",
    [
        "import tools.two",
        "from tools import two",
        "from tools.two import name",
        "from . import two",
        "from .two import name",
        "def function():\n    from tools.two import name",
    ],
)
def test_every_form_of_an_import_counts(tmp_path: Path, text: str):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/one.py").write_text(text)
    (tmp_path / "tools/two.py").write_text("import json\nfrom tools.one import function\n")
    cycle = cycle_in(tmp_path)
    assert set(cycle) == {"tools.one", "tools.two"}
    assert len(cycle) == 3


def test_the_packages_own_init_counts(tmp_path: Path):
    (tmp_path / "host/part").mkdir(parents=True)
    (tmp_path / "host/part/__init__.py").write_text("from .one import name\n")
    (tmp_path / "host/part/one.py").write_text("from host.part import other\n")
    assert set(cycle_in(tmp_path)) == {"host.part", "host.part.one"}


def test_only_modules_that_build_something_import_from_tools_offline():
    modules = modules_in(ROOT)
    offline = {module for module in modules if module.startswith("tools.offline")}
    importers = {module for module in modules.keys() - offline if imports_of(module, modules) & offline}
    assert importers == BUILDERS
    imported = {name for module in offline for name in imports_of(module, modules)} - offline
    assert imported <= HELPERS
    assert all(not imports_of(module, modules) & offline for module in HELPERS)
