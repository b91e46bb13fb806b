"""Every restriction of the units, tried from inside: of the app, of builds, of the builds of packages, and of Nginx."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.machine.page_app import PageAppServer
from tests.machine.test_builds import FirstServer

pytestmark = pytest.mark.machine
SERVER_CLASS = FirstServer
HERE = Path(__file__).parent


PROBED_APP = """
import json

import hostile
import probes


def app(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps({"web": probes.results(), "package": json.loads(hostile.RECORD)}).encode()]
"""
PROBE = "python -c 'import json, probes; print(json.dumps(probes.results()))'"
PROBED = {
    "app.py": PROBED_APP,
    "probes.py": (HERE / "probes.py").read_text(),
    "requirements.txt": "markupsafe\n./hostile\n",
    "hostile/pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    "hostile/probes.py": (HERE / "probes.py").read_text(),
    "hostile/backend.py": (HERE / "hostile_package.py").read_text(),
    "Procfile": f"""web: gunicorn app:app
worker: {PROBE} > /var/lib/app/worker.json; sleep 1000
release: {PROBE} > /var/lib/app/release.json
build: {PROBE} > build.json
""",
    "app.json": json.dumps({"cron": [{"schedule": "0 3 1 1 *", "command": f"{PROBE} > /var/lib/app/cron.json"}]}),
}
# Where the units may write, besides their own /tmp, /var/tmp and /dev/shm.
WRITABLE = {
    "web": ["/run/gantry", "/var/lib/app"],
    "worker": ["/var/lib/app"],
    "cron": ["/run/gantry", "/var/lib/app"],
    "release": [".", "/var/lib/app"],
    "build": [".", "/opt/gantry/builds/*/app"],
}
# CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_KILL, CAP_SETGID, CAP_SETUID and CAP_NET_BIND_SERVICE.
NGINX_CAPABILITIES = sum(1 << number for number in (0, 1, 5, 6, 7, 10))
ADDRESSES = {"169.254.169.254/32": "-4", "fd00:ec2::254/128": "-6"}


@pytest.fixture(scope="module")
def probed(server: PageAppServer) -> dict[str, dict[str, Any]]:
    """What was possible inside of each unit, and in the build of a package, by name."""
    for address, family in ADDRESSES.items():
        server.ssh(f"sudo ip {family} address add {address} dev lo")
    server.ssh("for folder in /tmp /var/tmp /dev/shm; do touch $folder/gantry-outside; done")
    result = server.release(PROBED)
    assert result.exit_code == 0, result.output
    timer = server.ssh("systemctl list-units --all --plain --no-legend 'gantry-cron@*.timer'").split()[0]
    server.ssh(f"sudo systemctl start --wait {timer.replace('.timer', '.service')}")
    pages = json.loads(server.get("/")[1])
    files = {name: f"/var/lib/app/{name}.json" for name in ("worker", "release", "cron")}
    files["build"] = "/var/lib/gantry/current/app/build.json"
    return {**pages, **{name: json.loads(server.ssh(f"sudo cat {path}")) for name, path in files.items()}}


def test_the_address_of_the_metadata_service_answers_to_root_and_not_to_the_login_for_releases(
    server: PageAppServer, probed: object
):
    for address in ("169.254.169.254", "[fd00:ec2::254]"):
        get = f"import urllib.request as r; print(r.urlopen('http://{address}/', timeout=5).status)"
        assert server.ssh(f'sudo python3 -c "{get}"') == "200", "the tests below prove nothing"
        assert server.ssh("id -un") == "deploy"
        assert "refused" in server.ssh(f'python3 -c "{get}" 2>&1', check=False)


@pytest.mark.parametrize("unit", WRITABLE)
def test_a_unit_of_the_app_can_do_only_what_an_app_needs(unit: str, probed: dict[str, dict[str, Any]]):
    writable = [re.sub(r"[0-9a-f]{12}-[0-9a-f]{12}", "*", path) for path in probed[unit]["writable"]]
    assert {**probed[unit], "writable": writable} == {"writable": WRITABLE[unit], "forbidden": [], "needed": {}}


def test_the_build_of_a_package_can_write_only_to_its_own_environment(probed: dict[str, dict[str, Any]]):
    package = probed["package"]
    assert package["writable"] == sorted([".", package["venv"]])
    assert (package["forbidden"], package["needed"], package["changed"]) == ([], {}, [])


def test_the_build_of_a_package_leaves_no_process_and_no_trap_for_root(
    server: PageAppServer, probed: dict[str, dict[str, Any]]
):
    assert server.ssh("pgrep --full 'left [b]ehind'", check=False) == ""
    assert server.ssh("pgrep --euid gantry-build", check=False) == ""
    assert server.ssh("systemctl list-units --all --no-legend 'gantry-install-*'") == ""
    assert server.ssh("ls /etc/gantry-trap", check=False) == ""
    venv = probed["package"]["venv"]
    assert server.ssh(f"find {venv} /opt/gantry/venv ! -user root") == ""
    assert server.ssh(f"ls /opt/gantry/venvs-complete/{venv.rpartition('/')[2]}")


@pytest.mark.parametrize(
    ("kind", "limit"), [("web", 1.5), ("process", 1.5), ("cron", 1.5), ("build", 1.5), ("release", 1.5), ("port", 1.5)]
)
def test_systemd_rates_the_exposure_of_units(server: PageAppServer, kind: str, limit: float):
    assert exposure(server, f"gantry-{kind}@x.service") <= limit


def exposure(server: PageAppServer, unit: str) -> float:
    """0 is the best value, and 10 the worst: https://www.freedesktop.org/software/systemd/man/systemd-analyze.html"""
    lines = server.ssh(f"systemd-analyze security --no-pager {unit}")
    return float(re.findall(r"exposure level for \S+: ([\d.]+)", lines)[0])


def test_nginx_is_restricted_and_can_reload_rotate_its_logs_and_restart(server: PageAppServer):
    assert exposure(server, "nginx.service") <= 3
    pid = server.ssh("cat /run/nginx.pid")
    # The first configuration has restarted it with the restrictions.
    status = dict(line.split(":\t") for line in server.ssh(f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
    assert (status["NoNewPrivs"], int(status["CapBnd"], 16)) == ("1", NGINX_CAPABILITIES)
    server.ssh("sudo systemctl reload nginx")
    server.ssh("sudo mv /var/log/nginx/access.log /var/log/nginx/access.log.1 && sudo kill -USR1 $(cat /run/nginx.pid)")
    server.wait_until(lambda: "access.log" in server.ssh("sudo ls /var/log/nginx").split(), "a new log", 10)
    server.ssh("sudo systemctl restart nginx")
    assert server.get("/")[0] == 200
    # An upload that doesn't fit into memory goes through a temporary file.
    upload = "import urllib.request as r; print(r.urlopen('http://127.0.0.1/', data=bytes(3 << 20)).status)"
    assert server.ssh(f'python3 -c "{upload}"') == "200"


def test_limits_of_memory_are_declared_and_a_local_machine_gets_no_swap_file(server: PageAppServer):
    unit = f"gantry-web@{server.deployment()}.service"
    memory = int(re.findall(r"MemTotal:\s+(\d+)", server.ssh("cat /proc/meminfo"))[0]) * 1024
    names = ("MemoryHigh", "MemoryMax", "TasksMax", "OOMPolicy", "Slice")
    shown = server.ssh(f"systemctl show {' '.join(f'--property={name}' for name in names)} {unit}")
    values = dict(line.split("=") for line in shown.split())
    assert abs(int(values["MemoryMax"]) / memory - 0.85) < 0.01
    assert abs(int(values["MemoryHigh"]) / memory - 0.8) < 0.01
    assert (values["TasksMax"].isdecimal(), values["OOMPolicy"], values["Slice"]) == (True, "continue", "gantry.slice")
    assert server.ssh("systemctl show --value --property=ConditionResult gantry-swap.service") == "no"
    assert server.ssh("sudo ls /var/lib/gantry/swap", check=False) == ""
