"""The first boot's files must keep their bytes, so they can't take their paths from ``Paths``: these tests compare."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from host.paths import Paths

ROOT = Path(__file__).resolve().parents[2]
FIRST_BOOT = ROOT / "cloud-init/first-boot"
PATHS = Paths()
# Paths of this computer, which only look like those of a server.
LOCAL_STATE = {"components/local/store.py", "components/local/resolver.py"}


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("install.sh", PATHS.releases),
        ("install.sh", PATHS.deployments),
        ("install.sh", PATHS.incoming),
        ("install.sh", PATHS.venvs),
        ("install.sh", PATHS.env_files),
        ("install.sh", PATHS.state),
        ("install.sh", PATHS.app_home),
        ("install.sh", PATHS.build_home),
        ("install.sh", PATHS.build_home / "uv"),
        ("install.sh", PATHS.uv),
        ("install.sh", PATHS.gunicorn_requirements),
        ("install.sh", PATHS.site_link),
        ("ready.sh", PATHS.site_link),
        ("ready.sh", PATHS.scripts / "host-key"),
        ("gantry.sh", PATHS.host_program),
        ("tmpfiles.conf", PATHS.sockets),
        ("firewall.nft", PATHS.firewall_rules / "*.nft"),
    ],
)
def test_a_file_of_the_first_boot_uses_the_path_of_the_host_program(file: str, path: Path):
    words = (FIRST_BOOT / file).read_text().replace('"', " ").replace("=", " ").split()
    assert str(path) in words


def test_no_path_of_a_test_server_is_outside_of_its_root(tmp_path: Path):
    paths = Paths(tmp_path)
    names = [name for name in dir(Paths) if isinstance(vars(Paths).get(name), type(vars(Paths)["incoming"]))]
    assert len(names) > 30
    assert all(getattr(paths, name).is_relative_to(tmp_path) for name in names)
    assert len({getattr(paths, name) for name in names}) == len(names)


def test_components_and_templates_take_server_paths_from_the_host_program():
    prefixes = re.compile(r"/opt/gantry|/(var/lib|etc|run|usr/local/lib)/gantry|/var/lib/app")
    templates = [*(ROOT / "cloud-init").glob("*.*"), *(ROOT / "cloud-init/site").iterdir()]
    sources = {
        file.relative_to(ROOT).as_posix(): file.read_text()
        for file in (*(ROOT / "components").rglob("*.py"), *templates)
        if file.name != "user-data.yaml.j2"
    }
    assert {name for name, text in sources.items() if prefixes.search(text)} == LOCAL_STATE
