"""certbot: its arguments, its runs, its errors, and its installation."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from host import systemd
from host.certificates import certbot
from host.certificates.certbot import arguments, problem
from host.errors import ReleaseError
from host.packages import isolation, uv
from host.paths import Paths
from tests.unit.certificate_server import ADDRESS, DIRECTORY, DOMAIN, WWW, request

# The beginning and the end of each failure of certbot 5.8.0.
HEAD = "Saving debug log to /var/lib/gantry-acme/logs/letsencrypt.log\nRequesting a certificate for app.test\n\n"
TAIL = (
    "Ask for help or search for solutions at https://community.letsencrypt.org. See the logfile"
    " /var/lib/gantry-acme/logs/letsencrypt.log or re-run Certbot with -v for more details.\n"
)
NAMES = """\
Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Identifier: nowhere.test
  Type:   connection
  Detail: Get "http://nowhere.test:80/.well-known/acme-challenge/x": could not resolve URL "http://nowhere.test:80/"

  Identifier: app.test
  Type:   unauthorized
  Detail: Non-200 status code from HTTP: http://app.test:80/.well-known/acme-challenge/x returned 404

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.

Some challenges have failed.
"""
REFUSED_CONNECTION = (
    "An unexpected error occurred:\n"
    "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='10.77.0.4', port=443): Max retries exceeded"
    ' with url: /dir (Caused by NewConnectionError("…: Failed to establish a new connection: [Errno 111] Connection'
    ' refused"))\n'
)
NO_TRUST = (
    "An unexpected error occurred:\nrequests.exceptions.SSLError: HTTPSConnectionPool(host='ca', port=443):"
    " certificate verify failed: unable to get local issuer certificate\n"
)
RATE_LIMIT = (
    "An unexpected error occurred:\nError creating new order :: too many certificates (5) already issued for this exact"
    " set of identifiers in the last 168h0m0s, retry after 2026-12-01 10:00:00 UTC: see https://letsencrypt.org/docs/\n"
)


def test_the_error_has_what_the_authority_said_about_each_name():
    assert problem(HEAD + NAMES + TAIL) == (
        'nowhere.test: Get "http://nowhere.test:80/.well-known/acme-challenge/x": could not resolve URL'
        ' "http://nowhere.test:80/" (connection); app.test: Non-200 status code from HTTP:'
        " http://app.test:80/.well-known/acme-challenge/x returned 404 (unauthorized)"
    )
    older = NAMES.replace("Identifier:", "Domain:")
    assert problem(older) == problem(NAMES)


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        (REFUSED_CONNECTION, "[Errno 111] Connection refused"),
        (NO_TRUST, "unable to get local issuer certificate"),
        (RATE_LIMIT, "retry after 2026-12-01 10:00:00 UTC"),
    ],
)
def test_another_error_is_its_own_sentences_without_those_that_every_failure_has(output: str, cause: str):
    text = problem(HEAD + output + TAIL)
    assert cause in text
    assert not any(noise in text for noise in ("Saving debug log", "Ask for help", "unexpected error", "\n"))


@pytest.mark.parametrize("output", ["", "\n", HEAD + "- - - - -\n" + TAIL])
def test_a_failure_without_a_cause_is_named_as_such(output: str):
    assert problem(output) == "certbot failed without a message"


def test_the_error_about_a_hundred_names_stays_short():
    one = "  Identifier: {}.test\n  Type:   dns\n  Detail: {}\n\n"
    text = problem("".join(one.format(number, "x" * 5000) for number in range(100)))
    assert text.startswith("0.test: xxx") and text.endswith("; and 95 more names")
    # Pulumi waits for ever for the end of a line of 64 KiB.
    assert len(text) < 6000
    assert len(problem("y" * 100_000)) == 1000


def test_names_and_addresses_are_asked_for_in_their_own_ways():
    words = arguments(Paths(), request(), [DOMAIN, ADDRESS, "2001:db8::1"], subset=False, anew=False)
    pairs = [("--domain", DOMAIN), ("--ip-address", ADDRESS), ("--ip-address", "2001:db8::1")]
    assert words[-6:] == [word for pair in pairs for word in pair]
    assert words[words.index("--preferred-profile") + 1] == "shortlived"
    assert "--preferred-profile" not in arguments(Paths(), request(), [DOMAIN, WWW], subset=False, anew=False)


@pytest.mark.parametrize("subset", [False, True])
@pytest.mark.parametrize("anew", [False, True])
def test_what_may_be_left_out_and_what_is_kept_are_separate_choices(subset: bool, anew: bool):
    words = arguments(Paths(), request(), [DOMAIN], subset=subset, anew=anew)
    assert ("--allow-subset-of-names" in words) == subset
    assert ("--force-renewal" in words, "--keep-until-expiring" in words) == (anew, not anew)
    assert words[words.index("--server") + 1] == DIRECTORY
    assert words[words.index("--cert-name") + 1] == "gantry"


class FakeSystemd:
    """Records calls of systemctl and systemd-run. The runs of certbot end with ``results``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[list[str]] = []
        self.results: list[tuple[int, str] | BaseException] = []
        monkeypatch.setattr(certbot.subprocess, "run", self.run)
        monkeypatch.setattr(isolation, "sandbox", lambda: ["PrivateTmp=yes"])
        monkeypatch.setattr(systemd, "systemctl", lambda *words: self.calls.append(["systemctl", *words]))

    def run(self, words: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        if words[0] != "systemd-run":
            return subprocess.CompletedProcess(words, 1, "", "")
        self.calls.append(words)
        result = self.results.pop(0) if self.results else (0, "")
        if isinstance(result, BaseException):
            raise result
        return subprocess.CompletedProcess(words, result[0], "", result[1])

    @property
    def runs(self) -> list[list[str]]:
        return [words[words.index("--") + 1 :] for words in self.calls if words[0] == "systemd-run"]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    fake = FakeSystemd(monkeypatch)
    monkeypatch.setattr(certbot, "ensure", lambda _: Path("/opt/certbot"))
    monkeypatch.setattr(certbot, "prepare", lambda _: None)
    (tmp_path / "usual.pem").write_text("the usual authorities\n")
    monkeypatch.setattr(certbot, "TRUSTED", tmp_path / "usual.pem")
    return fake


def obtain(folder: Path, directory: str = DIRECTORY) -> None:
    asked = replace(request(DOMAIN, directory=directory), root="an own authority\n")
    certbot.obtain(Paths(folder), asked, [DOMAIN], subset=True)


def test_certbot_trusts_the_usual_authorities_and_the_given_one(fake: FakeSystemd, tmp_path: Path):
    obtain(tmp_path)
    trusted = Paths(tmp_path).acme / "authorities.pem"
    assert trusted.read_text() == "the usual authorities\nan own authority\n"
    assert any(f"REQUESTS_CA_BUNDLE={trusted} " in word for word in fake.calls[-1])
    assert f"--property=User={certbot.USER}" in fake.calls[-1]


def test_a_unit_that_a_killed_run_has_left_is_stopped_first(fake: FakeSystemd, tmp_path: Path):
    obtain(tmp_path)
    assert fake.calls[0] == ["systemctl", "stop", certbot.UNIT]
    assert fake.calls[1][0] == "systemd-run"


def test_systemd_replaces_no_variable_in_the_url_of_an_authority(fake: FakeSystemd, tmp_path: Path):
    obtain(tmp_path, "https://ca.example/$HOME")
    assert "https://ca.example/$$HOME" in fake.runs[0]


def test_a_rejected_nonce_is_no_failure_unless_it_happens_three_times(fake: FakeSystemd, tmp_path: Path):
    rejected = (1, "An unexpected error occurred:\nJWS has an invalid anti-replay nonce: TBJaYbhglgISHARhX9pZLw\n")
    fake.results = [rejected, (0, "")]
    obtain(tmp_path)
    fake.results = [rejected, rejected, rejected]
    with pytest.raises(ReleaseError, match="anti-replay nonce"):
        obtain(tmp_path)
    fake.results = [(1, "rate limit"), (0, "")]
    with pytest.raises(ReleaseError, match="rate limit"):
        obtain(tmp_path)
    assert len(fake.runs) == 6


def test_a_certbot_that_hangs_is_stopped_and_named(fake: FakeSystemd, tmp_path: Path):
    fake.results = [subprocess.TimeoutExpired(["certbot"], 330)]
    with pytest.raises(ReleaseError, match="certbot took more than 300 s"):
        obtain(tmp_path)
    assert fake.calls[-1] == ["systemctl", "stop", certbot.UNIT]


@pytest.mark.parametrize(
    ("settings", "anew"),
    [
        (f"server = {DIRECTORY}\n", False),
        ('server = "https://ca.example/directory"\n', False),
        ("server = https://ca.example/directory2\n", True),
        ("server = https://other.example/directory\n", True),
    ],
)
def test_the_authority_of_the_present_certificate_is_in_certbots_settings(settings: str, anew: bool, tmp_path: Path):
    paths = Paths(tmp_path)
    (paths.acme_config / "renewal").mkdir(parents=True)
    (paths.acme_config / "renewal/gantry.conf").write_text(f"version = 5.8.0\n[renewalparams]\n{settings}")
    assert (certbot._issuer(paths) != DIRECTORY) == anew  # pyright: ignore[reportPrivateUsage]


class FakeRegistry:
    """Installs certbot as uv would. It fails while there is an ``error``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: BaseException | None = None
        self.commands: list[list[str]] = []
        monkeypatch.setattr(uv, "run", self.run)
        monkeypatch.setattr(certbot.shutil, "chown", lambda *_: None)
        monkeypatch.setattr(certbot.files, "sync", lambda _: None)

    def run(self, command: list[str], folder: Path, *, writable: Path) -> str:
        assert folder == writable
        self.commands.append(command)
        if self.error and "install" in command:
            raise self.error
        if "install" in command:
            (folder / "bin").mkdir(exist_ok=True)
            (folder / "bin/certbot").write_text("#!/bin/sh\n")
        return ""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    return FakeRegistry(monkeypatch)


def test_certbot_is_installed_once_from_wheels_with_locked_hashes(registry: FakeRegistry, tmp_path: Path):
    paths = Paths(tmp_path)
    (paths.certbot_venvs / "an-older-one").mkdir(parents=True)
    program = certbot.ensure(paths)
    assert program.exists()
    assert {"--no-build", "--require-hashes"} <= set(registry.commands[-1])
    assert [folder.name for folder in paths.certbot_venvs.iterdir()] == [program.parents[1].name]
    assert certbot.ensure(paths) == program
    assert len(registry.commands) == 2


@pytest.mark.parametrize("error", [ReleaseError("the registry doesn't answer"), KeyboardInterrupt()])
def test_an_installation_that_failed_leaves_nothing_and_is_tried_again(
    error: BaseException, registry: FakeRegistry, tmp_path: Path
):
    paths = Paths(tmp_path)
    registry.error = error
    with pytest.raises(type(error)) as raised:
        certbot.ensure(paths)
    if isinstance(error, ReleaseError):
        assert str(raised.value) == "certbot can't be installed: the registry doesn't answer"
    assert list(paths.certbot_venvs.iterdir()) == []
    registry.error = None
    assert certbot.ensure(paths).exists()


def test_an_installation_that_was_killed_is_made_again(registry: FakeRegistry, tmp_path: Path):
    paths = Paths(tmp_path)
    program = certbot.ensure(paths)
    folder = program.parents[1]
    folder.chmod(0o755)
    (folder / ".complete").unlink()
    program.unlink()
    assert certbot.ensure(paths).exists()
    assert len(registry.commands) == 4


def test_the_lock_of_certbot_has_only_hashed_versions():
    text = (Path(certbot.__file__).parent / certbot.REQUIREMENTS).read_text()
    packages = [line for line in text.splitlines() if line and line[0] not in " #"]
    assert any(line.startswith("certbot==") for line in packages)
    assert all("==" in line and line.endswith("\\") for line in packages)
