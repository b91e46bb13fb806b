"""The rights of the two logins of a server. Each refusal is tried on a stack's server, with the keys of the stack."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from components import ssh
from components.local import launch
from host.paths import Paths
from tests.machine.local_machines import create_ssh_key
from tests.machine.page_app import tarball
from tests.stack import Stack, copy_example_app, get, output
from tools.login import login_to

pytestmark = pytest.mark.machine

PATHS = Paths()
# With a sudoers rule for each of these words, `deploy` would be root.
REFUSED = [
    "bash",
    "-s",
    "-i",
    "-l -U root",
    "python3 -I -",
    "-u app id",
    "-g root id",
    "-u '#0' id",
    "-e /etc/passwd",
    "--chdir=/etc gantry rollback --wait 1",
    "LD_PRELOAD=/tmp/x.so gantry rollback --wait 1",
    "PYTHONPATH=/tmp gantry rollback --wait 1",
    "env gantry rollback --wait 1",
    "gantry",
    "gantry configure",
    "gantry check --repair",
    "gantry mount-volume /etc --size 1",
    "gantry resume",
    "gantry revert",
    "gantry rollback",
    "gantry --help release x",
    "python3 -I /opt/gantry/host.pyz rollback --wait 1",
    "/opt/gantry/program-uploads/x configure",
    "/tmp/gantry release x",
    "sh /usr/local/bin/gantry release x",
    f"{PATHS.scripts}/ready --help",
    f"{PATHS.scripts}/host-key confirm",
    f"rm -f {PATHS.draining} /etc/hostname",
    f"rm -f -- {PATHS.draining}",
    f"rm -rf {PATHS.draining}",
    "rm -f /run/gantry-leaving/../hostname",
    f"touch {PATHS.draining} /etc/nologin",
    "touch /etc/nologin",
    "visudo",
    "systemctl restart nginx",
    "tee /etc/sudoers.d/x",
]
# The rules allow these commands, and the host program refuses their arguments.
REFUSED_ARGUMENTS = [
    "gantry prepare ../../../etc",
    "gantry release ../../../etc --settings x --health / --host x",
    "gantry release 0123456789ab --settings x --health / --host x --link /etc/passwd",
    "gantry release 0123456789ab --settings x --health / --host x --link a/../../b",
    "gantry release configure",
    "gantry wait-for-balancer --settle 0 --limit 1 --from /etc",
]
# Nobody but root, or admin, may write there.
PROTECTED = [
    PATHS.host_program,
    PATHS.host_program.parent,
    PATHS.programs,
    PATHS.program_uploads,
    PATHS.gantry_command,
    PATHS.gantry_command.parent,
    PATHS.scripts,
    PATHS.logins,
    PATHS.deploy_key,
    PATHS.deploy_rules.parent,
    PATHS.ssh_settings,
    "/home/admin/.ssh",
    "$(readlink -f /opt/gantry/host.pyz)",
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, base_image: str) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("logins")
    settings = {"app": str(copy_example_app(folder)), "healthPath": "/healthz"}
    with Stack.temporary("logins", folder, settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def admin(stack: Stack, url: str) -> ssh.Login:
    outputs = stack.outputs()
    login = login_to(outputs["servers"][0], outputs)
    assert login.user == "admin"
    return login


@pytest.fixture(scope="module")
def deploy(stack: Stack, admin: ssh.Login) -> ssh.Login:
    return replace(admin, user="deploy", private_key=stack.outputs()["deploy_key"])


def run(login: ssh.Login, command: str, *flags: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run ssh with these flags."""
    with ssh.offering(login.private_key) as identity:
        words = ssh.command(
            login.address, login.user, host_key=login.host_key, identity=[*identity, *flags], words=[command]
        )
        return subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60)


def test_the_login_for_releases_becomes_root_by_no_other_command(deploy: ssh.Login):
    assert run(deploy, "id -un").stdout == "deploy\n"
    script = "".join(
        f"sudo -n {words} < /dev/null > /dev/null 2>&1 && echo {number}\n" for number, words in enumerate(REFUSED)
    )
    allowed = run(deploy, "sh", stdin=script).stdout.split()
    assert [REFUSED[int(number)] for number in allowed] == []
    listed = run(deploy, "sudo -n -l").stdout.split("commands on", 1)[1]
    assert "!ALL" in listed


def test_the_host_program_refuses_arguments_that_lead_out_of_its_folders(deploy: ssh.Login, stack: Stack):
    before = stack.script("find /etc /opt/gantry /var/lib/gantry ! -name history.jsonl | sort | sha256sum")
    release = f"gantry release {stack.outputs()['release']} --settings x --health / --host x"
    log_of_root = {"LD_DEBUG": "libs", "LD_DEBUG_OUTPUT": "/etc/root"}
    for words, variables in [*((words, {}) for words in REFUSED_ARGUMENTS), (release, log_of_root)]:
        result = run(deploy, f"sudo -n {words}", stdin=json.dumps({"variables": variables}))
        assert result.returncode != 0, words
        assert "Traceback" not in result.stderr
        assert "password is required" not in result.stderr, words
    assert stack.script("find /etc /opt/gantry /var/lib/gantry ! -name history.jsonl | sort | sha256sum") == before


def test_root_runs_a_program_that_the_login_for_releases_cant_change(deploy: ssh.Login):
    for path in PROTECTED:
        assert run(deploy, f"test -w {path}").returncode == 1, path
    program = run(deploy, "readlink -f /opt/gantry/host.pyz").stdout.strip()
    assert Path(program).parent == PATHS.programs
    assert run(deploy, f"stat -c '%U %a' {program}").stdout == "root 644\n"
    # It may write where releases are uploaded.
    assert run(deploy, f"test -w {PATHS.incoming}").returncode == 0


def test_an_upload_that_is_a_link_isnt_read(deploy: ssh.Login):
    link = PATHS.tarball("0123456789ab")
    assert run(deploy, f"ln -s /etc/shadow {link}").returncode == 0
    command = "sudo -n gantry release 0123456789ab --settings x --health / --host x"
    result = run(deploy, command, stdin='{"variables": {}}')
    assert result.returncode == 1
    assert "digest" not in output(result) and "Too many levels of symbolic links" in result.stderr
    assert run(deploy, f"rm {link}").returncode == 0


def test_a_list_of_packages_leads_root_to_no_file_outside_of_the_release(deploy: ssh.Login):
    # Root read /etc/shadow, wrote it again as a list for uv, and opened it to all users. By a link that was changed in
    # between, root wrote to any file.
    content = tarball({"Procfile": "web: true\n", "requirements.txt": "-r/etc/shadow\n", "/etc/shadow": "flask\n"})
    release = hashlib.sha256(content).hexdigest()[:12]
    with ssh.offering(deploy.private_key) as identity:
        words = [f"cat > {PATHS.tarball(release)}"]
        command = ssh.command(deploy.address, deploy.user, host_key=deploy.host_key, identity=identity, words=words)
        subprocess.run(command, input=content, check=True, timeout=60)
    result = run(deploy, f"sudo -n gantry prepare {release} --settings x", stdin='{"variables": {}}')
    assert result.returncode == 1
    assert "requirements.txt, line 1: '-r/etc/shadow' leaves the app's folder" in output(result)
    assert run(deploy, "stat -c %a /etc/shadow; cat /etc/shadow").stdout == "640\n"


def test_the_login_for_releases_has_no_terminal_and_forwards_nothing(deploy: ssh.Login, tmp_path: Path):
    assert "PTY allocation request failed" in run(deploy, "tty", "-tt").stderr
    # The channel that -L, -D and -J open.
    assert "administratively prohibited" in run(deploy, "", "-W", "127.0.0.1:22").stderr
    exits = ("-o", "ExitOnForwardFailure=yes")
    for forward in ("0:127.0.0.1:80", "/tmp/forwarded.sock:127.0.0.1:80"):
        assert run(deploy, "true", *exits, "-R", forward).returncode != 0, forward
    with agent(tmp_path) as socket:
        assert run(deploy, "echo $SSH_AUTH_SOCK", "-o", f"ForwardAgent={socket}").stdout == "\n"
    assert run(deploy, "echo $DISPLAY", "-X").stdout == "\n"


def test_the_login_for_releases_cant_give_itself_another_key(deploy: ssh.Login, tmp_path: Path):
    key = create_ssh_key(tmp_path / "id")
    public = key.with_suffix(".pub").read_text().strip()
    script = f"mkdir -p ~/.ssh; echo '{public}' >> ~/.ssh/authorized_keys; echo 'echo rc ran >&2' > ~/.ssh/rc"
    assert run(deploy, script).returncode == 0
    other = replace(deploy, private_key=key.read_text())
    result = run(other, "true")
    assert result.returncode == ssh.NO_CONNECTION and "Permission denied" in result.stderr
    result = run(deploy, "echo $SSH_CONNECTION")
    assert result.stdout != "\n" and "rc ran" not in result.stderr
    assert run(deploy, "rm -r ~/.ssh").returncode == 0


def test_people_have_a_terminal_forwarding_and_root(admin: ssh.Login):
    assert "/dev/pts" in run(admin, "tty", "-tt").stdout
    assert run(admin, "", "-W", "127.0.0.1:22").stdout.startswith("SSH-2.0-")
    exits = ("-o", "ExitOnForwardFailure=yes")
    assert run(admin, "true", *exits, "-R", "0:127.0.0.1:80").returncode == 0
    assert run(admin, "sudo -n id -u").stdout == "0\n"


def test_ssh_offers_the_algorithms_of_the_debian_policy_alone(admin: ssh.Login):
    settings = dict(line.split(" ", 1) for line in run(admin, "sudo sshd -T").stdout.splitlines() if " " in line)
    written = dict(
        line.split() for line in run(admin, f"grep -E '^(Kex|Ciphers|MACs)' {PATHS.ssh_settings}").stdout.splitlines()
    )
    assert set(written) == {"KexAlgorithms", "Ciphers", "MACs"}
    assert {name: settings[name.lower()] for name in written} == written


def test_releases_and_rollbacks_need_only_the_login_for_releases(stack: Stack, url: str):
    first = stack.outputs()["release"]
    stack.edit("Hello World!", "Hello Mars!")
    stack.up()
    assert get(url).text == "Hello Mars!\n"
    stack.edit("app = Flask", "import no_such_module\n\napp = Flask")
    assert "ModuleNotFoundError" in output(stack.failing_up())
    assert get(url).text == "Hello Mars!\n"
    stack.configure(release=first)
    stack.up()
    assert get(url).text == "Hello World!\n"
    assert stack.steps() == {}


@contextmanager
def agent(folder: Path) -> Iterator[Path]:
    """The socket of an agent, which could be forwarded."""
    socket = folder / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as process:
        launch.wait_until(socket.exists, "the agent's socket", 10)
        try:
            yield socket
        finally:
            process.terminate()
