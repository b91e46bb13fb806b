"""A stack with one server: first up, edits, failures and a reboot. The tests run in this order."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.local import launch
from host import ports
from tests.load import load
from tests.stack import ROOT, Response, Stack, copy_example_app, output
from tests.stack import get as send
from tools.setup import site_check

pytestmark = pytest.mark.machine

DOMAIN = "rocket.test"
SECRET = "correct-horse-battery-staple"
RELEASES_UNDER_LOAD = 5


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("single")
    settings = {"app": str(copy_example_app(folder)), "domain": DOMAIN, "healthPath": "/healthz"}
    with Stack.temporary("single", folder, settings) as stack:
        yield stack


def test_the_page_comes_from_nginx_in_front_of_the_app(url: str):
    response = get(url)
    assert (response.status, response.text) == (200, "Hello World!\n")
    assert response.headers["Server"] == "nginx"


def test_the_app_sees_the_clients_address_and_url(url: str):
    with socket.create_connection((host_of(url), 80)) as connection:
        client_address = connection.getsockname()[0]
    assert json.loads(get(f"{url}visitor").text) == {
        "address": client_address,
        "url": "http://rocket.test/visitor",
    }


def test_www_is_redirected_permanently_to_the_bare_domain(url: str):
    response = get(f"{url}some/page", host="www.rocket.test")
    assert (response.status, response.headers["Location"]) == (301, "http://rocket.test/some/page")


def test_the_address_in_the_url_is_answered_and_other_names_are_misdirected(url: str):
    assert send(url).status == 200
    for host in ("other.test", "127.0.0.1", "rocket.test.other.test"):
        assert send(url, host=host).status == 421


def test_only_ssh_and_http_are_reachable(stack: Stack, url: str):
    sockets = stack.ssh("sudo ss --listening --tcp --numeric --no-header").stdout
    addresses = {line.split()[3] for line in sockets.splitlines()}
    # Nginx serves a candidate there before the switch.
    assert f"127.0.0.1:{ports.CANDIDATE_PORT}" in addresses
    reachable = {address for address in addresses if not address.startswith("127.")}
    assert {address.rpartition(":")[2] for address in reachable} == {"22", "80"}
    for port in (443, 5000, 8000, ports.CANDIDATE_PORT):
        with pytest.raises(OSError):
            socket.create_connection((host_of(url), port), timeout=1).close()


def test_the_outputs_are_ready_to_copy(stack: Stack, url: str):
    outputs = stack.outputs()
    assert {"url", "release", "servers", "ssh", "logs"} <= set(outputs)
    server = outputs["servers"][0]
    assert server["name"] == "single-0"
    assert url == f"http://{server['address']}/"
    assert server["instance_id"]
    assert outputs["ssh"] == "bin/ssh --stack single single-0"
    assert outputs["release"] in stack.ssh("sudo gantry status").stdout


def test_the_host_key_of_the_user_data_is_no_longer_served(stack: Stack, url: str):
    first_key = stack.resource("single-0-first-host-key")["public_key"]
    scan = subprocess.run(["ssh-keyscan", host_of(url)], capture_output=True, text=True, check=True).stdout
    served_keys = {line.split()[2] for line in scan.splitlines() if not line.startswith("#")}
    assert served_keys == {stack.outputs()["servers"][0]["host_key"].split()[1]}
    assert first_key.split()[1] not in served_keys


def test_up_without_a_change_does_nothing_and_opens_no_ssh_connection(stack: Stack, url: str):
    before = logins(stack)
    result = stack.up()
    assert re.search(r"\d+ unchanged", result.stdout)
    assert not re.search(r"\d+ (created|updated|replaced|deleted)", result.stdout)
    assert stack.steps() == {}
    assert logins(stack) == before + 1, "`up` opened an SSH connection: only the count itself needs one"


def test_after_an_up_the_site_is_asked_and_a_broken_layer_is_repaired_over_ssh(stack: Stack, url: str):
    outputs = stack.outputs()
    site = site_check.site_of(outputs)
    assert site
    look = site_check.over_ssh(outputs)

    def check() -> tuple[bool, list[str]]:
        return site_check.check(site, stack.name, lambda: site_check.machines_of(outputs), look)

    def refuse() -> list[site_check.Machine]:
        raise AssertionError("a server was asked although the site answers")

    assert site_check.check(site, stack.name, refuse, look) == (True, [])
    stack.ssh("sudo systemctl mask --now nginx")
    answers, lines = check()
    assert answers, lines
    assert "  single-0: repaired: Nginx: nginx.service is masked" in lines
    # Without the service that restores the rules, they stay until now.
    drop = "tcp dport 80 drop"
    stack.ssh(f"sudo systemctl stop gantry-firewall && sudo nft insert rule inet filter input {drop}")
    answers, lines = check()
    assert answers, lines
    assert any("firewall: the kernel's rules differ" in line for line in lines)
    chain = "add chain inet other input { type filter hook input priority -10; }"
    stack.ssh(f"sudo nft 'add table inet other; {chain}; add rule inet other input {drop}'")
    answers, lines = check()
    stack.ssh("sudo nft delete table inet other")
    assert not answers
    text = "\n".join(lines)
    assert "Nginx: it listens on port 80, but a firewall drops or rejects the packets" in text
    assert "firewall: rules of others drop or reject packets, too: table inet other" in text
    assert get(url).status == 200


def test_a_preview_of_an_edit_shows_the_release_alone_with_both_digests(stack: Stack, url: str):
    old = stack.outputs()["release"]
    stack.edit("Hello World!", "Hello Mars!")
    assert stack.steps() == {"single-0-artifact": "update", "single-0-release": "update"}
    diff = stack.pulumi("preview", "--diff").stdout
    digests = set(re.findall(r"gantry release (\w{12})", diff))
    assert old in digests
    assert get(url).text == "Hello World!\n"
    stack.up()
    assert get(url).text == "Hello Mars!\n"
    assert digests == {old, stack.outputs()["release"]}


def test_no_request_fails_over_releases_under_load(stack: Stack, url: str, tmp_path: Path):
    with load(f"{url}echo", tmp_path, host=DOMAIN, connections=16, pause_ms=0) as requests:
        for number in range(RELEASES_UNDER_LOAD):
            stack.edit("Hello Mars!", f"Hello Mars {number}!")
            stack.up()
            assert get(url).text == f"Hello Mars {number}!\n"
            stack.edit(f"Hello Mars {number}!", "Hello Mars!")
        time.sleep(3)  # the last old release finishes its requests
    assert requests.requests > 5000
    assert requests.failed == {}


def test_an_app_that_does_not_import_fails_the_up_with_its_traceback_and_the_old_page_serves(stack: Stack, url: str):
    before = get(url).text
    stack.edit("app = Flask", "import no_such_module\n\napp = Flask")
    result = stack.failing_up()
    assert "ModuleNotFoundError: No module named 'no_such_module'" in output(result)
    assert get(url).text == before
    assert stack.ssh("systemctl list-units --plain --no-legend 'gantry-web@*' | wc -l").stdout.strip() == "1"
    stack.edit("import no_such_module\n\napp = Flask", "app = Flask")
    stack.up()
    assert get(url).text == "Hello Mars!\n"


def test_a_secret_variable_reaches_the_app_and_nothing_else(stack: Stack, url: str):
    stack.edit('return "Hello Mars!\\n"', 'import os\n    return os.environ["TOKEN"]')
    stack.pulumi("config", "set", "--secret", "--path", "gantry:env.TOKEN", SECRET)
    diff = stack.pulumi("preview", "--diff").stdout
    result = stack.up()
    assert get(url).text == SECRET
    state = stack.pulumi("stack", "export").stdout
    assert SECRET not in diff + output(result) + state
    server_output = "ps -eo args; sudo journalctl --no-pager; sudo cat /var/lib/cloud/instance/user-data.txt"
    assert SECRET not in stack.ssh(server_output).stdout


def test_an_app_with_a_factory_templates_and_static_files_is_served(stack: Stack, url: str, tmp_path: Path):
    package = tmp_path / "shop/site"
    (package / "templates").mkdir(parents=True)
    (package / "static").mkdir()
    (package / "__init__.py").write_text(
        "from flask import Flask, render_template\n\n\ndef create_app():\n    app = Flask(__name__)\n\n"
        '    @app.route("/")\n    def index():\n        return render_template("index.html", name="shop")\n\n'
        "    return app\n"
    )
    (package / "templates/index.html").write_text("<p>{{ name }}</p>")
    (package / "static/style.css").write_text("p { color: red }")
    (tmp_path / "shop/Procfile").write_text("web: gunicorn 'site:create_app()'\n")
    (tmp_path / "shop/requirements.txt").write_text("flask\n")
    stack.configure(app=str(tmp_path / "shop"), healthPath="/", env=None)
    stack.up()
    assert get(url).text == "<p>shop</p>"
    assert get(f"{url}static/style.css").text == "p { color: red }"


def test_after_a_reboot_the_server_serves_the_same_page(stack: Stack, url: str):
    stack.ssh("sudo systemctl reboot", check=False)
    time.sleep(2)
    launch.wait_until(lambda: shows(url, "<p>shop</p>"), "the page to return", 60)


def get(url: str, host: str = DOMAIN) -> Response:
    return send(url, host=host)


def shows(url: str, text: str) -> bool:
    try:
        return get(url).text == text
    except OSError:
        return False


def host_of(url: str) -> str:
    return url.removeprefix("http://").rstrip("/")


def logins(stack: Stack) -> int:
    """The number of logins on the server so far, with the one of this call."""
    return int(stack.ssh("sudo journalctl --no-pager --unit=ssh | grep -c Accepted").stdout)


# A file that only the app's user and group can read, with a second name and a link.
WRITE = """
set -e
install -d -o app -g app -m 0750 /var/lib/app/media
head -c 300000 /dev/urandom > /var/lib/app/media/picture
chmod 0640 /var/lib/app/media/picture
ln -s picture /var/lib/app/media/latest
chown -hR app:app /var/lib/app/media
"""
# Names, kinds, modes, owners, links and contents.
SHOW = r"""
cd /var/lib/app
find . -mindepth 1 -printf '%P %y %m %u %g %l\n' | sort
find . -type f -exec sha256sum {} +
"""


def test_files_of_the_app_stop_a_replacement_until_they_are_copied_and_given_up(stack: Stack, url: str, tmp_path: Path):
    stack.script(WRITE)
    before, outputs = stack.script(SHOW), stack.outputs()
    id = outputs["servers"][0]["instance_id"]
    # Another network replaces the server.
    stack.configure(network="10.251.7.0/28")
    shown = output(stack.failing_up())
    assert "its /var/lib/app has 2 files (300.0 kB), deleted with the server" in shown
    assert (get(url).status, stack.outputs()) == (200, outputs)
    folder = tmp_path / "copy"
    assert "2 files (300.0 kB) of single-0" in bin_data(stack, "pull", "single-0", str(folder))
    # A second run goes on with the same copy, and finds it complete.
    bin_data(stack, "pull", "single-0", str(folder))
    stack.configure(loseData=id)
    assert "as loseData allows" in output(stack.up())
    url = stack.outputs()["url"]
    stack.script("echo seed > /var/lib/app/seed")
    assert stack.script(SHOW) != before
    shown = bin_data(stack, "push", str(folder))
    assert stack.script(SHOW) == before
    assert stack.script("cat /var/lib/app.before-push-*/seed") == "seed\n"
    assert get(url).status == 200
    assert "its /var/lib/app has 2 files (300.0 kB)" in output(stack.pulumi("destroy", "--yes", "--skip-preview"))


def bin_data(stack: Stack, *words: str) -> str:
    """Run bin/data; returns its output."""
    command = [str(ROOT / "bin/data"), "--stack", stack.name, *words]
    result = subprocess.run(command, env=stack.env(), capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, output(result)
    return output(result)
