from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from components.server import host_program


def test_the_host_program_is_packed_to_the_same_bytes_each_time_and_runs_from_its_zip(tmp_path: Path):
    program = host_program.pack(tmp_path)
    assert program == host_program.pack(tmp_path)
    assert program.file.read_bytes() == host_program.archive()
    with zipfile.ZipFile(program.file) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    result = subprocess.run([sys.executable, "-I", str(program.file), "--help"], capture_output=True, text=True)
    assert result.returncode == 0
    assert "switches releases" in result.stdout


def test_the_host_program_imports_only_the_standard_library():
    names = set[str]()
    for path in host_program.SOURCES.rglob("*.py"):
        names.update(re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
    assert names - set(sys.stdlib_module_names) == {"host"}
