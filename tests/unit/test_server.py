from __future__ import annotations

import base64
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from components.server import commands, host_program
from components.server.configuration import WEB_UNIT, configuration
from components.server.templates import FOLDER
from components.server.user_data import Identity
from components.server.user_data import user_data as user_data_of
from components.settings.common import Settings
from host.cron import Entry
from host.times import MOVED_SECONDS, WATCH_INTERVAL_SECONDS
from tests.stack_settings import settings

HOST_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64.b64encode(os.urandom(290)).decode() + "\n"


@pytest.fixture
def stack_settings(tmp_path: Path) -> Settings:
    return settings(app=tmp_path, domain="rocket.test", watch=10)


def site(stack_settings: Settings) -> str:
    return configuration(stack_settings, "/h.pyz").files["/etc/nginx/sites-available/gantry"]


def user_data() -> str:
    return user_data_of(
        Identity(
            hostname="dev-0",
            public_key="ssh-ed25519 AAAA",
            host_private_key=HOST_KEY,
            host_public_key="ssh-ed25519 BBBB",
        )
    )


def test_the_user_data_is_yaml_that_says_what_cloud_init_needs():
    document = yaml.safe_load(user_data())
    assert user_data().startswith("#cloud-config\n")
    assert document["hostname"] == "dev-0"
    assert document["users"][0]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA"]
    assert document["ssh_keys"] == {"ed25519_private": HOST_KEY, "ed25519_public": "ssh-ed25519 BBBB"}
    assert document["packages"] == ["python3-pip-whl"]


def test_every_file_of_the_first_boot_arrives_as_it_is_in_the_repository():
    written = {file["path"]: file["content"] for file in yaml.safe_load(user_data())["write_files"]}
    folder = FOLDER / "first-boot"
    assert sorted(written.values()) == sorted(path.read_text() for path in folder.iterdir())


def test_the_user_data_fits_into_what_ec2_takes():
    # 16 KiB: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
    assert len(user_data().encode()) < 16 * 1024


def test_the_user_data_knows_nothing_of_the_app_so_that_no_release_rebuilds_a_server(stack_settings: Settings):
    document = user_data()
    for word in ("rocket", stack_settings.health_path, "RELEASE"):
        assert word not in document


def test_gunicorn_and_uv_are_pinned_with_hashes():
    for name in ("gunicorn.txt", "uv.txt"):
        text = (FOLDER / "first-boot" / name).read_text()
        assert re.match(r"^[a-z]+==[\d.]+ \\\n    --hash=sha256:", text), name


def test_www_is_redirected_permanently_to_the_bare_domain(stack_settings: Settings):
    assert "server_name www.rocket.test;" in site(stack_settings)
    assert "return 301 $scheme://rocket.test$request_uri;" in site(stack_settings)


def test_without_a_domain_any_name_is_served_and_nothing_redirected(stack_settings: Settings):
    text = site(replace(stack_settings, domain=None))
    assert "server_name _;" in text
    assert "301" not in text
    assert "www" not in text


@pytest.mark.parametrize(
    "directive",
    [
        "proxy_set_header Host $host;",
        "proxy_set_header X-Real-IP $remote_addr;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "add_header Retry-After 5 always;",
        "server_tokens off;",
    ],
)
def test_the_site_has(stack_settings: Settings, directive: str):
    assert directive in site(stack_settings)


def test_gunicorn_listens_on_a_unix_socket_and_nowhere_else(stack_settings: Settings):
    unit = configuration(stack_settings, "/h.pyz").files[WEB_UNIT]
    assert re.findall(r"--bind (\S+)", unit) == ['unix:/run/gantry/%i.sock"']


@pytest.mark.parametrize(
    "directive",
    [
        "User=app",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "CapabilityBoundingSet=",
    ],
)
def test_the_web_unit_is_confined(stack_settings: Settings, directive: str):
    unit = configuration(stack_settings, "/h.pyz").files[WEB_UNIT]
    assert directive in unit.splitlines()


def units(stack_settings: Settings) -> dict[str, str]:
    """The services that run the app's code, by kind."""
    files = configuration(stack_settings, "/h.pyz").files
    return {
        kind: files[f"/etc/systemd/system/gantry-{kind}@.service"] for kind in ("web", "release", "process", "cron")
    }


def test_everything_that_runs_the_apps_code_is_confined_by_the_same_lines(stack_settings: Settings):
    def shared(unit: str) -> list[str]:
        lines = unit.splitlines()
        return lines[lines.index("UMask=0007") : lines.index("SystemCallErrorNumber=EPERM") + 1]

    found = units(stack_settings)
    assert len(shared(found["web"])) > 15
    for kind, unit in found.items():
        assert shared(unit) == shared(found["web"]), kind


def test_only_web_and_the_lock_of_cron_may_write_where_sockets_are(stack_settings: Settings):
    may = {kind for kind, unit in units(stack_settings).items() if "ReadWritePaths=/run/gantry" in unit.splitlines()}
    assert may == {"web", "cron"}


def test_the_times_that_processes_have_are_the_settings(stack_settings: Settings):
    found = units(replace(stack_settings, release_timeout=77, stop_timeout=88))
    assert "TimeoutStartSec=77" in found["release"].splitlines()
    assert "TimeoutStopSec=88" in found["process"].splitlines()
    assert "TimeoutStopSec=88" in found["cron"].splitlines()


def test_a_preview_shows_counts_and_cron_in_the_release_command(stack_settings: Settings):
    given = replace(stack_settings, processes={"worker": 2, "a": 0}, cron=(Entry("0 3 * * *", "python it's.py"),))
    command = commands.release("3f2a91c0ffee", configuration(given, "/h.pyz"), given)
    words = shlex.split(command)
    beside = ["--process", "a=0", "--process", "worker=2", "--cron", "0 3 * * *", "python it's.py"]
    assert words[6:13] == beside
    prepare = shlex.split(commands.prepare_first("3f2a91c0ffee", configuration(given, "/h.pyz"), given))
    assert prepare == ["sudo", "gantry", "prepare", *words[3:6], *beside, "--first"]
    assert configuration(given, "/h.pyz") == configuration(stack_settings, "/h.pyz")


def test_systemd_waits_longer_than_gunicorn_for_requests_in_flight(stack_settings: Settings):
    files = configuration(stack_settings, "/h.pyz").files
    graceful = int(re.findall(r"graceful_timeout = (\d+)", files["/etc/gantry/gunicorn.conf.py"])[0])
    stop = int(re.findall(r"TimeoutStopSec=(\d+)", files[WEB_UNIT])[0])
    assert stop > graceful


def test_nginx_gives_idle_connections_up_before_a_stopping_gunicorn_does(stack_settings: Settings):
    lingers = importlib.import_module("gunicorn.workers.gthread").STOP_KEEPALIVE_LINGER
    found = re.search(r"keepalive_timeout (\d+)ms;", site(stack_settings))
    assert found and int(found[1]) / 1000 < lingers


def test_gunicorns_settings_are_python_and_hold_the_numbers_given(stack_settings: Settings):
    text = configuration(replace(stack_settings, workers=7, threads=3), "/h.pyz").files["/etc/gantry/gunicorn.conf.py"]
    compile(text, "gunicorn.conf.py", "exec")
    assert "workers = 7\nthreads = 3\n" in text


def test_the_document_shows_each_line_of_a_file_on_a_line_of_its_own(stack_settings: Settings):
    stack_configuration = configuration(stack_settings, "/h.pyz")
    document = json.loads(stack_configuration.document())
    assert {path: "\n".join(lines) for path, lines in document["files"].items()} == stack_configuration.files
    assert any("return 301" in line and line.count(";") == 1 for line in stack_configuration.document().splitlines())


def test_what_a_web_process_starts_with_changes_the_release_command_and_the_site_does_not(stack_settings: Settings):
    def command(changed: Settings) -> str:
        return commands.release("3f2a91c0ffee", configuration(changed, "/h.pyz"), stack_settings)

    assert command(stack_settings) != command(replace(stack_settings, threads=5))
    assert command(stack_settings) == command(replace(stack_settings, domain="other.test"))


def test_a_health_path_with_a_query_is_one_word_of_the_command(stack_settings: Settings):
    asked = replace(stack_settings, health_path="/health?a=1&b=$(x)")
    words = shlex.split(commands.release("3f2a91c0ffee", configuration(asked, "/h.pyz"), asked))
    assert words[words.index("--health") + 1] == "/health?a=1&b=$(x)"


def test_the_release_command_shows_the_gate_and_the_watch(stack_settings: Settings):
    def command(changed: Settings) -> str:
        return commands.release("3f2a91c0ffee", configuration(changed, "/h.pyz"), changed)

    assert command(stack_settings).endswith("--health /healthz --host rocket.test --timeout 30 --watch 10")
    strict = replace(stack_settings, health_status=204, health_timeout=5, watch=0, health_interval=2.5)
    gate = "--health /healthz --host rocket.test --timeout 5 --watch 0 --expect 204 --interval 2.5"
    assert command(strict).endswith(gate)


def test_nginx_writes_down_for_the_watch_what_the_app_answered_and_moves_visitors_before_it_asks(
    stack_settings: Settings,
):
    text = site(stack_settings)
    assert "log_format gantry '$msec $request_time $remote_addr \"$upstream_status\"';" in text
    assert "access_log /var/log/nginx/access.log combined " in text
    written = re.search(r"access_log /var/log/nginx/gantry.log gantry buffer=16k flush=(\d+)ms;", text)
    assert written and int(written[1]) / 1000 < WATCH_INTERVAL_SECONDS
    # One that is not yet too old may be idle once more, and then gets a last request.
    kept = re.findall(r"keepalive_time(?:out)? (\d+)ms;", text)
    assert len(kept) == 2 and sum(map(int, kept)) / 1000 < MOVED_SECONDS


def test_variables_of_the_app_are_joined_by_the_release_and_the_stack():
    given = json.loads(commands.release_input({"A": "b"}, release="3f2a91c0ffee", stack="dev"))
    variables = {"A": "b", "RELEASE": "3f2a91c0ffee", "GANTRY_STACK": "dev"}
    assert given == {"variables": variables, "revision": None}
    assert (
        json.loads(commands.release_input({}, release="3f2a91c0ffee", stack="dev", revision="v2"))["revision"] == "v2"
    )


def test_the_host_program_has_the_same_bytes_each_time_and_runs_from_its_zip(tmp_path: Path):
    program = host_program.pack(tmp_path)
    assert program == host_program.pack(tmp_path)
    assert program.file.read_bytes() == host_program.archive()
    with zipfile.ZipFile(program.file) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    done = subprocess.run([sys.executable, "-I", str(program.file), "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "switches releases" in done.stdout


def test_the_host_program_imports_nothing_but_the_standard_library():
    names = set[str]()
    for path in host_program.SOURCES.glob("*.py"):
        names.update(re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
    assert names - set(sys.stdlib_module_names) == {"host"}
