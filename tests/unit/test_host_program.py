from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from components.server import host_program
from host import bytecode, program
from host.paths import Paths


def imported_file(program: Path) -> str:
    """The file that Python imports for the module host.cli."""
    script = f"import sys; sys.path.insert(0, {str(program)!r}); import host.cli; print(host.cli.__file__)"
    return subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_host_program_is_packed_to_the_same_bytes_each_time_and_runs_from_its_zip(tmp_path: Path):
    program = host_program.pack(tmp_path)
    assert program == host_program.pack(tmp_path)
    assert program.file.read_bytes() == host_program.archive()
    with zipfile.ZipFile(program.file) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    result = subprocess.run([sys.executable, "-I", str(program.file), "--help"], capture_output=True, text=True)
    assert result.returncode == 0
    assert "switches releases" in result.stdout


def test_configure_writes_the_named_files_of_the_host_program_and_no_others(tmp_path: Path):
    program = host_program.pack(tmp_path).file
    name = str(Paths().stop_script)
    document = json.dumps({"files": {"/etc/x": ["a", ""]}, "program_files": [name], "links": {}})
    script = f"import sys; sys.path.insert(0, {str(program)!r}); import host.cli, host.paths, pathlib;"
    script += f"paths = host.paths.Paths(pathlib.Path({str(tmp_path)!r}));"
    script += "host.cli._configure(paths, None)"
    subprocess.run([sys.executable, "-I", "-c", script], input=document, text=True, check=True)
    written = {path for folder in ("etc", "usr") for path in (tmp_path / folder).rglob("*") if path.is_file()}
    assert written == {tmp_path / "etc/x", tmp_path / name.lstrip("/")}
    assert os.access(tmp_path / name.lstrip("/"), os.X_OK)


def test_root_runs_a_copy_of_the_uploaded_program_which_is_made_once(tmp_path: Path):
    uploaded = host_program.pack(tmp_path)
    paths = Paths(tmp_path / "server")
    program.install(uploaded.file, uploaded.copy, paths)
    copy = paths.programs / Path(uploaded.copy).name
    assert copy.stat().st_mode & 0o777 == 0o644
    first = copy.read_bytes()
    # The bytecode comes after the sources.
    assert len(first) > len(uploaded.file.read_bytes())
    uploaded.file.write_bytes(b"changed by its owner")
    program.install(uploaded.file, uploaded.copy, paths)
    assert copy.read_bytes() == first


def test_a_program_that_isnt_among_the_copies_is_left_alone(tmp_path: Path):
    program.install(tmp_path / "host.pyz", "/opt/gantry/incoming/host-1.pyz", Paths(tmp_path))
    program.install(tmp_path / "host.pyz", None, Paths(tmp_path))
    assert not list(tmp_path.iterdir())


def test_the_host_program_imports_only_the_standard_library():
    names = set[str]()
    for path in host_program.SOURCES.rglob("*.py"):
        names.update(re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
    assert names - set(sys.stdlib_module_names) == {"host"}


def test_bytecode_is_added_once_and_the_sources_keep_their_places(tmp_path: Path):
    program = host_program.pack(tmp_path).file
    with zipfile.ZipFile(program) as archive:
        offsets = {entry.filename: entry.header_offset for entry in archive.infolist()}
    assert bytecode.add(program)
    with zipfile.ZipFile(program) as archive:
        after = {entry.filename: entry.header_offset for entry in archive.infolist()}
    assert {name: after[name] for name in offsets} == offsets
    assert set(after) - set(offsets) == {f"{name}c" for name in offsets if name.endswith(".py")}
    content = program.read_bytes()
    assert not bytecode.add(program)
    assert program.read_bytes() == content


def test_python_imports_the_bytecode_and_another_version_the_sources(tmp_path: Path):
    program = host_program.pack(tmp_path).file
    bytecode.add(program)
    assert imported_file(program) == f"{program}/host/cli.pyc"
    # The first bytes of the bytecode say which version of Python it is for.
    program.write_bytes(program.read_bytes().replace(importlib.util.MAGIC_NUMBER, b"\0\0\r\n"))
    assert imported_file(program) == f"{program}/host/cli.py"
