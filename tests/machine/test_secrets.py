"""Fourteen secrets are planted in one stack, which comes up and fails in many ways. Nobody else may see a secret."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from components import ssh
from tests.machine.planted_secrets import ProcessRecord, Secret, matches, search_script, secrets_in
from tests.stack import ROOT, Stack, copy_example_app, get, output
from tools.login import login_to

pytestmark = pytest.mark.machine

VARIABLES = {
    "PLAIN": "#",
    "QUOTES": 'it\'s "#" `date` \\ $HOME',
    "PERCENT": "100%# %s %h",
    "UNICODE": "grüße # ✓",
    "LINES": "one\n#\nthree\n",
    "DATABASE_URL": "postgresql://shop:#@db.test/shop",
}
# Where the secrets belong on a server. Only root may read the first three. A secret anywhere else is a leak.
ALLOWED_FILES = {
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
# These commands show what Pulumi knows of a stack.
SHOW_COMMANDS = (
    "stack export", "stack output --json", "stack", "config --json", "preview --json", "stack history --json"
)  # fmt: skip


@dataclass
class Recording:
    """A stack with its planted secrets, and all that its commands and processes have shown."""

    stack: Stack
    planted: list[Secret]
    outputs: dict[str, str] = field(default_factory=dict[str, str])
    processes: ProcessRecord = field(default_factory=ProcessRecord)

    def pulumi(self, title: str, *words: str, error: str = "") -> None:
        """Run a command, which must fail if an error is given, and print that error."""
        with self.processes.recording():
            result = self.stack.pulumi(*words, check=False)
        self.outputs[title] = text = output(result)
        assert (result.returncode != 0, error in text) == (bool(error), True), f"{title}:\n{text}"

    def up(self, title: str, error: str = "") -> None:
        self.pulumi(title, "up", "--yes", "--skip-preview", "--diff", error=error)

    def failing_up(self, title: str, error: str, **files: str) -> None:
        """Run an `up` with some files of the app replaced until after it. The names have _ in place of the dot."""
        replacements = {self.stack.app / name.replace("_", "."): text for name, text in files.items()}
        originals = {file: file.read_text() for file in replacements}
        for file, text in replacements.items():
            file.write_text(text)
        self.up(title, error)
        for file, text in originals.items():
            file.write_text(text)

    def plant(self, *secrets: Secret) -> None:
        self.planted += secrets


@pytest.fixture(scope="module")
def recording(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    folder = tmp_path_factory.mktemp("secrets")
    passphrase = Secret.random("passphrase", 'it\'s "#" $HOME')
    shell_secrets = [Secret.random(name, "#") for name in ("AWS_SECRET_ACCESS_KEY", "PULUMI_ACCESS_TOKEN")]
    variables = [Secret.random(name, form) for name, form in VARIABLES.items()]
    with Stack.temporary(
        "secrets",
        folder,
        {"app": str(copy_example_app(folder)), "healthPath": "/healthz"},
        passphrase=passphrase.value,
        shell_env={secret.name: secret.value for secret in shell_secrets},
    ) as stack:
        for secret in variables:
            stack.pulumi("config", "set", "--secret", "--path", f"gantry:env.{secret.name}", secret.value)
        recording = Recording(stack, [passphrase, *shell_secrets, *variables])
        run_stack(recording)
        yield recording


def run_stack(recording: Recording) -> None:
    """Bring the stack up, make it fail in many ways, and run all commands that show something of it."""
    stack = recording.stack
    recording.pulumi("preview", "preview", "--diff")
    recording.up("first up")
    recording.plant(*private_keys(stack))
    recording.failing_up("failing app", "KeyError: 'NO_SUCH'", rocket_py="import os\nos.environ['NO_SUCH']\n")
    procfile = "web: gunicorn rocket:app\nrelease: sh -c 'exit 3'\n"
    recording.failing_up("failing release phase", "failed with exit status 3", Procfile=procfile)
    recording.plant(index := Secret.random("index password", "http://ada:#@127.0.0.1:9/simple"))
    requirements = f"--index-url {index.value}\nnot-there==1\n"
    recording.failing_up("failing index", "requirements can't be installed", requirements_txt=requirements)
    recording.plant(domain := Secret.random("secret setting", "www.#.test"))
    stack.pulumi("config", "set", "--secret", "gantry:domain", domain.value)
    recording.up("invalid setting", error="domain is [secret]")
    stack.pulumi("config", "rm", "gantry:domain")
    stack.edit("app = Flask(", "# new\napp = Flask(")
    recording.up("last up")
    for command in SHOW_COMMANDS:
        recording.pulumi(command, *command.split())


def private_keys(stack: Stack) -> list[Secret]:
    """The three keys in the state, which only the passphrase decrypts, and the host key that the server created."""
    return [
        Secret.private_key("deploy key", stack.outputs()["deploy_key"]),
        Secret.private_key("admin key", stack.outputs()["ssh_key"]),
        Secret.private_key("first host key", stack.resource("secrets-0-first-host-key")["private_key"]),
        Secret.private_key("own host key", stack.script("cat /etc/ssh/ssh_host_ed25519_key")),
    ]


def app_user(stack: Stack) -> int:
    return int(stack.script("id -u app"))


def test_the_app_gets_its_variables_and_the_search_would_find_a_leak(recording: Recording):
    assert len({secret.name for secret in recording.planted}) == 15
    assert get(recording.stack.outputs()["url"]).text == "Hello World!\n"
    user = app_user(recording.stack)
    app_variables = b"".join(variables for owner, variables in recording.processes.variables if owner == user)
    assert secrets_in(app_variables, recording.planted) == set(VARIABLES)
    assert recording.processes.has_command(rb"gantry release [0-9a-f]{12} ")
    assert recording.processes.has_command(rb"pulumi.* up --yes")


def test_no_output_of_a_command_shows_a_secret_even_when_the_command_fails(recording: Recording):
    leaks = {title: secrets_in(text, recording.planted) for title, text in recording.outputs.items()}
    assert {title: names for title, names in leaks.items() if names} == {}


def test_no_command_line_and_no_variables_of_other_processes_contain_a_secret(recording: Recording):
    assert secrets_in(b"\n".join(recording.processes.commands), recording.planted) == set()
    user = app_user(recording.stack)
    others = b"\n".join(variables for owner, variables in recording.processes.variables if owner != user)
    assert b"SUDO_USER=deploy" in others
    assert secrets_in(others, recording.planted) == set()


def test_the_server_has_secrets_only_in_their_own_files_and_not_in_logs_or_history(recording: Recording):
    stack, planted = recording.stack, recording.planted
    folders = "/boot /etc /home /opt /root /run /srv /tmp /usr/local /var"
    secret_files = matches(planted, stack.script(search_script(planted, folders)))
    assert {(file, name) for file, name in secret_files if not is_allowed(file, name)} == set()
    assert {name for _, name in secret_files} >= {*VARIABLES, "own host key", "first host key"}
    modes = stack.script("stat -c '%U %a' /etc/gantry/environment/* /etc/gantry/host-keys/own /etc/ssh/*_key")
    assert set(modes.splitlines()) == {"root 600"}
    assert secrets_in(stack.script("journalctl --output=export --all --no-pager"), planted) == set()


def is_allowed(file: str, secret: str) -> bool:
    return any(file.startswith(start) and secret in names for start, names in ALLOWED_FILES.items())


def test_the_first_host_key_from_the_metadata_is_no_longer_accepted(recording: Recording):
    outputs = recording.stack.outputs()
    server = outputs["servers"][0]
    first_key = recording.stack.resource("secrets-0-first-host-key")["public_key"]
    for host_key, exit_code in ((server["host_key"], 0), (first_key, 255)):
        login = replace(login_to(server, outputs), host_key=host_key)
        result = ssh.run(login, ["true"], timeout=60)
        assert result.returncode == exit_code, result.stderr
    assert b"Host key verification failed" in result.stderr
    assert recording.stack.script("ls /etc/gantry/host-keys").split() == ["own", "own.pub"]


def test_state_settings_and_generated_files_on_this_computer_contain_no_secret(recording: Recording):
    folder = recording.stack.folder
    script = search_script(recording.planted, f"{folder}/state {folder}/*.yaml {ROOT}/.gantry")
    stdout = subprocess.run(["sh"], input=script, capture_output=True, text=True, timeout=120, check=True).stdout
    secret_files = matches(recording.planted, stdout)
    # A packed app contains the app's files, and this app has a password in one of them.
    outside = {(file, name) for file, name in secret_files if not file.startswith(f"{ROOT}/.gantry/artifacts/")}
    assert outside == set()
    assert {name for _, name in secret_files} == {"index password"}
