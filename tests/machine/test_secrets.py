"""Fourteen secrets of all kinds, planted in one stack that comes up and fails in every way: who else can read them?"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from components import ssh
from tests.machine.planted_secrets import Secret, Seen, found, hits, search, watching
from tests.stack import ROOT, Stack, copy_of_rocket, get

pytestmark = pytest.mark.machine

VARIABLES = {
    "PLAIN": "#",
    "QUOTES": 'it\'s "#" `date` \\ $HOME',
    "PERCENT": "100%# %s %h",
    "UNICODE": "grüße # ✓",
    "LINES": "one\n#\nthree\n",
    "DATABASE_URL": "postgresql://shop:#@db.test/shop",
}
# Where each of them belongs on a server; whatever else has one is a leak. Only root may read the first three.
HOMES = {
    "/etc/gantry/environment/": set(VARIABLES),
    "/etc/gantry/host-keys/own": {"own host key"},
    "/etc/ssh/ssh_host_ed25519_key": {"own host key"},
    # The app's own files, as the user wrote them.
    "/opt/gantry/incoming/": {"index password"},
    "/opt/gantry/releases/": {"index password"},
    # cloud-init's copies of the user-data.
    "/run/cloud-init/": {"first host key"},
    "/var/lib/cloud/": {"first host key"},
}


@dataclass
class Run:
    """All that a stack's life has left to see."""

    stack: Stack
    planted: list[Secret]
    outputs: dict[str, str] = field(default_factory=dict[str, str])
    seen: Seen = field(default_factory=Seen)

    def pulumi(self, title: str, *words: str, fails: str = "") -> None:
        """Run it; it must fail with those words, if any."""
        with watching(self.seen):
            done = self.stack.pulumi(*words, check=False)
        self.outputs[title] = said = done.stdout + done.stderr
        assert (done.returncode != 0, fails in said) == (bool(fails), True), f"{title}:\n{said}"

    def up(self, title: str, fails: str = "") -> None:
        self.pulumi(title, "up", "--yes", "--skip-preview", "--diff", fails=fails)

    def fail(self, title: str, words: str, **files: str) -> None:
        """An `up` with other files of the app, which are restored afterwards; their names have _ for a dot."""
        app = self.stack.app
        changed = {app / name.replace("_", "."): text for name, text in files.items()}
        before = {file: file.read_text() for file in changed}
        for file, text in changed.items():
            file.write_text(text)
        self.up(title, fails=words)
        for file, text in before.items():
            file.write_text(text)

    def add(self, *more: Secret) -> None:
        self.planted += more


@pytest.fixture(scope="module")
def run(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("secrets")
    passphrase = Secret.make("passphrase", 'it\'s "#" $HOME')
    operators = [Secret.make(name, "#") for name in ("AWS_SECRET_ACCESS_KEY", "PULUMI_ACCESS_TOKEN")]
    environment = {secret.name: secret.value for secret in operators}
    app = copy_of_rocket(folder)
    settings: dict[str, object] = {"app": str(app), "healthPath": "/healthz"}
    stack = Stack("secrets", folder, settings, passphrase=passphrase.value, variables=environment)
    variables = [Secret.make(name, form) for name, form in VARIABLES.items()]
    run = Run(stack, [passphrase, *operators, *variables])
    for secret in variables:
        stack.pulumi("config", "set", "--secret", "--path", f"gantry:env.{secret.name}", secret.value)
    try:
        live(run, app)
        yield run
    finally:
        stack.destroy()


def live(run: Run, app: Path) -> None:
    """Come up, fail in all ways, and show what there is to show."""
    run.pulumi("preview", "preview", "--diff")
    run.up("first up")
    run.add(*private_keys(run.stack))
    run.fail("app that fails", "KeyError: 'NO_SUCH'", rocket_py="import os\nos.environ['NO_SUCH']\n")
    procfile = "web: gunicorn rocket:app\nrelease: sh -c 'exit 3'\n"
    run.fail("release process that fails", "failed with exit status 3", Procfile=procfile)
    run.add(index := Secret.make("index password", "http://ada:#@127.0.0.1:9/simple"))
    requirements = f"--index-url {index.value}\nnot-there==1\n"
    run.fail("index that fails", "requirements can't be installed", requirements_txt=requirements)
    run.add(domain := Secret.make("secret setting", "www.#.test"))
    run.stack.pulumi("config", "set", "--secret", "gantry:domain", domain.value)
    run.up("setting that is wrong", fails="domain is [secret]")
    run.stack.pulumi("config", "rm", "gantry:domain")
    (app / "rocket.py").write_text(f"# new\n{(app / 'rocket.py').read_text()}")
    run.up("last up")
    shown = ("stack export", "stack output --json", "stack", "config --json", "preview --json", "stack history --json")
    for words in shown:
        run.pulumi(words, *words.split())


def private_keys(stack: Stack) -> list[Secret]:
    """Those of the stack, which only its passphrase gives away, and the one that the server made."""
    return [
        Secret.key("deploy key", stack.outputs()["ssh_key"]),
        Secret.key("first host key", stack.resource("secrets-0-first-host-key")["private_key"]),
        Secret.key("own host key", stack.script("cat /etc/ssh/ssh_host_ed25519_key")),
    ]


def test_the_app_gets_its_variables_and_the_search_would_find_a_leak(run: Run):
    assert len({secret.name for secret in run.planted}) == 14
    assert get(run.stack.outputs()["url"]).text == "Hello World!\n"
    app = int(run.stack.script("id -u app"))
    in_app = b"".join(environment for user, environment in run.seen.environments if user == app)
    assert found(run.planted, in_app) == set(VARIABLES)
    assert run.seen.commands_match(rb"gantry release [0-9a-f]{12} ")
    assert run.seen.commands_match(rb"pulumi.* up --yes")


def test_no_output_of_a_command_shows_a_secret_even_when_the_command_fails(run: Run):
    assert {title: names for title, said in run.outputs.items() if (names := found(run.planted, said))} == {}


def test_no_command_line_and_no_variables_of_other_processes_contain_a_secret(run: Run):
    assert found(run.planted, b"\n".join(run.seen.commands)) == set()
    app = int(run.stack.script("id -u app"))
    others = b"\n".join(environment for user, environment in run.seen.environments if user != app)
    assert b"SUDO_USER=deploy" in others
    assert found(run.planted, others) == set()


def test_the_server_has_secrets_only_in_their_own_files_and_not_in_logs_or_history(run: Run):
    folders = "/boot /etc /home /opt /root /run /srv /tmp /usr/local /var"
    seen = hits(run.planted, run.stack.script(search(run.planted, folders)))
    assert {hit for hit in seen if not at_home(*hit)} == set()
    assert {name for _, name in seen} >= {*VARIABLES, "own host key", "first host key"}
    private = run.stack.script("stat -c '%U %a' /etc/gantry/environment/* /etc/gantry/host-keys/own /etc/ssh/*_key")
    assert set(private.splitlines()) == {"root 600"}
    assert found(run.planted, run.stack.script("journalctl --output=export --all --no-pager")) == set()


def at_home(file: str, name: str) -> bool:
    return any(file.startswith(home) and name in names for home, names in HOMES.items())


def test_the_first_host_key_from_the_metadata_is_no_longer_accepted(run: Run):
    server = run.stack.outputs()["servers"][0]
    first = run.stack.resource("secrets-0-first-host-key")["public_key"]
    for key, code in ((server["host_key"], 0), (first, 255)):
        login = ssh.Login(server["address"], "deploy", key, run.stack.outputs()["ssh_key"])
        done = ssh.run(login, ["true"], timeout=60)
        assert done.returncode == code, done.stderr
    assert b"Host key verification failed" in done.stderr
    assert run.stack.script("ls /etc/gantry/host-keys").split() == ["own", "own.pub"]


def test_state_settings_and_generated_files_on_this_computer_contain_no_secret(run: Run):
    script = search(run.planted, f"{run.stack.folder}/state {run.stack.folder}/*.yaml {ROOT}/.gantry")
    said = subprocess.run(["sh"], input=script, capture_output=True, text=True, timeout=120, check=True).stdout
    # The tarball holds the app's files, and this app has a password in one of them.
    strays = {hit for hit in hits(run.planted, said) if not hit[0].startswith(f"{ROOT}/.gantry/artifacts/")}
    assert strays == set()
    assert {name for _, name in hits(run.planted, said)} == {"index password"}
