"""Atomic changes of files, the configuration of a server, the lock, the Procfile and the output."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from host import files, nginx_upgrade
from host.configure import Configuration, configure
from host.deployment import env_file
from host.errors import ReleaseError
from host.lock import WAIT_SECONDS, exclusive
from host.paths import Paths
from host.procfile import processes


def test_a_written_file_has_its_mode_and_no_temporary_file_is_left(tmp_path: Path):
    assert files.write(tmp_path / "sub/file", b"x", 0o640)
    assert (tmp_path / "sub/file").stat().st_mode & 0o7777 == 0o640
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["file"]


def test_a_file_that_a_full_disk_has_no_room_for_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    files.write(path, b"old", 0o600)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        files.write(path, b"new", 0o600)
    assert [(name, name.read_bytes()) for name in tmp_path.iterdir()] == [(path, b"old")]


def test_a_folder_gets_its_mode_but_a_link_to_one_is_refused(tmp_path: Path):
    folder, link = tmp_path / "parent/folder", tmp_path / "link"
    for mode in (0o755, 0o700):
        files.make_folder(folder, mode)
        assert folder.stat().st_mode & 0o777 == mode
    link.symlink_to(folder)
    with pytest.raises(OSError, match="link"):
        files.make_folder(link, 0o777)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_file_with_the_right_content_is_not_written_again(tmp_path: Path):
    files.write(tmp_path / "file", b"x", 0o600)
    inode = (tmp_path / "file").stat().st_ino
    assert not files.write(tmp_path / "file", b"x", 0o600)
    assert (tmp_path / "file").stat().st_ino == inode


def test_a_wrong_mode_is_corrected(tmp_path: Path):
    files.write(tmp_path / "file", b"x", 0o644)
    assert files.write(tmp_path / "file", b"x", 0o600)
    assert (tmp_path / "file").stat().st_mode & 0o7777 == 0o600


def test_a_link_exists_at_every_moment_while_it_is_replaced(tmp_path: Path):
    link = tmp_path / "link"
    files.point(link, "a")
    code = "import sys, pathlib; l = pathlib.Path(sys.argv[1])\nfor _ in range(20000): l.readlink()"
    reader = subprocess.Popen([sys.executable, "-c", code, str(link)])
    while reader.poll() is None:
        files.point(link, "b")
        files.point(link, "a")
    assert reader.returncode == 0


class Services:
    """Records the commands. The program ``refuse`` fails."""

    def __init__(self, refuse: str | None = None) -> None:
        self.commands: list[str] = []
        self.refuse = refuse

    def __call__(self, command: list[str]) -> None:
        self.commands.append(" ".join(command))
        if self.refuse and command[0] == self.refuse:
            raise ReleaseError("refused")


SITE = "/etc/nginx/sites-available/gantry"
LINK = "/etc/nginx/sites-enabled/gantry"
UNIT = "/etc/systemd/system/gantry.service"
CONFIGURATION = Configuration({SITE: "new\n", UNIT: "[Service]\n"}, {LINK: "../sites-available/gantry"})
FIREWALL = "/etc/nftables.conf"


def test_a_first_configuration_is_written_and_the_services_are_reloaded(tmp_path: Path):
    services = Services()
    configure(Paths(tmp_path), CONFIGURATION, services)
    assert (tmp_path / LINK[1:]).read_text() == "new\n"
    assert services.commands == [
        "nginx -t -q",
        "systemctl daemon-reload",
        "systemctl reload-or-restart nginx",
    ]


def test_nginx_is_restarted_before_it_has_visitors_and_later_only_reloaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    program, drop_in = "/opt/gantry/host.pyz", "/etc/systemd/system/nginx.service.d/sandbox.conf"
    services = Services()
    configure(Paths(tmp_path), Configuration({SITE: "one\n", drop_in: "one\n"}, {program: "a"}), services)
    assert services.commands[-1] == "systemctl restart nginx"
    assert "when it starts" not in capsys.readouterr().out
    configure(Paths(tmp_path), Configuration({SITE: "two\n", drop_in: "two\n"}, {program: "b"}), services)
    assert services.commands[-1] == "systemctl reload-or-restart nginx"
    assert "Nginx gets its new restrictions when it starts the next time" in capsys.readouterr().out


def test_nginx_is_reloaded_in_the_block_that_loses_no_request_and_after_the_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    events, services = list[str](), Services()

    @contextmanager
    def lossless_reload(_: Paths) -> Generator[None]:
        events.extend(["begin", *services.commands])
        yield
        events.append("end")

    monkeypatch.setattr(nginx_upgrade, "lossless_reload", lossless_reload)
    configure(Paths(tmp_path), CONFIGURATION, services)
    assert events == ["begin", "nginx -t -q", "end"]
    services.commands.clear()
    configure(Paths(tmp_path), Configuration({**CONFIGURATION.files, UNIT: "[Unit]\n"}, CONFIGURATION.links), services)
    assert services.commands == ["systemctl daemon-reload"]
    assert len(events) == 3


def test_an_unchanged_configuration_reloads_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    configure(Paths(tmp_path), CONFIGURATION, Services())
    services = Services()
    configure(Paths(tmp_path), CONFIGURATION, services)
    assert services.commands == []
    assert "unchanged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "is_reloaded"), [("# old\n\nnew;\n", False), ("new;  # old\n", True), ("newer;\n", True)]
)
def test_nginx_is_not_reloaded_for_a_change_of_comment_lines_alone(tmp_path: Path, text: str, is_reloaded: bool):
    configure(Paths(tmp_path), Configuration({SITE: "  new;\n# a comment\n", UNIT: "one"}, {}), Services())
    services = Services()
    configure(Paths(tmp_path), Configuration({SITE: text, UNIT: "# a comment\none"}, {}), services)
    assert (tmp_path / SITE[1:]).read_text() == text
    assert ("systemctl reload-or-restart nginx" in services.commands) is is_reloaded
    assert "systemctl daemon-reload" in services.commands


def test_a_changed_firewall_is_checked_and_loaded_without_a_reload_of_nginx(tmp_path: Path):
    configure(Paths(tmp_path), Configuration({SITE: "new\n", FIREWALL: "one\n"}, {}), Services())
    services = Services()
    configure(Paths(tmp_path), Configuration({SITE: "new\n", FIREWALL: "two\n"}, {}), services)
    assert services.commands == [f"nft --check --file {FIREWALL}", "systemctl reload-or-restart nftables"]


def test_a_changed_rule_that_the_firewall_includes_loads_the_whole_firewall(tmp_path: Path):
    admitted = "/etc/gantry/firewall/admitted.nft"
    configure(Paths(tmp_path), Configuration({FIREWALL: "all\n", admitted: "one\n"}, {}), Services())
    services = Services()
    configure(Paths(tmp_path), Configuration({FIREWALL: "all\n", admitted: "two\n"}, {}), services)
    assert services.commands == [f"nft --check --file {FIREWALL}", "systemctl reload-or-restart nftables"]


def test_changed_gunicorn_settings_reload_nothing_because_the_next_release_reads_them(tmp_path: Path):
    settings = "/etc/gantry/gunicorn.conf.py"
    configure(Paths(tmp_path), Configuration({SITE: "one\n", settings: "one\n"}, {"/opt/h": "a"}), Services())
    services = Services()
    configure(Paths(tmp_path), Configuration({SITE: "one\n", settings: "two\n"}, {"/opt/h": "b"}), services)
    assert ((tmp_path / settings[1:]).read_text(), services.commands) == ("two\n", [])


def test_after_nginx_refuses_a_site_the_old_one_is_put_back(tmp_path: Path):
    configure(Paths(tmp_path), CONFIGURATION, Services())
    with pytest.raises(ReleaseError):
        broken = Configuration({SITE: "broken", "/etc/new": ""}, {LINK: "new", "/etc/other": "new"})
        configure(Paths(tmp_path), broken, Services(refuse="nginx"))
    assert (tmp_path / LINK[1:]).read_text() == "new\n"
    assert sorted(path.name for path in (tmp_path / "etc").iterdir()) == ["nginx", "systemd"]


SUDO_RULES, SSH_SETTINGS = "/etc/sudoers.d/zz-gantry-deploy", "/etc/ssh/sshd_config.d/gantry-logins.conf"
RESTRICTION = Configuration({SUDO_RULES: "deploy ALL=(ALL:ALL) !ALL\n", SSH_SETTINGS: "Match User deploy\n"}, {})


def complete_logins(paths: Paths) -> None:
    paths.logins.mkdir(parents=True)
    paths.login_keys.touch()


def test_sudos_rules_are_checked_before_they_count_and_ssh_is_reloaded(tmp_path: Path):
    complete_logins(Paths(tmp_path))
    services = Services()
    configure(Paths(tmp_path), RESTRICTION, services)
    visudo, *others = services.commands
    assert visudo.startswith("visudo -c -q -f /") and SUDO_RULES not in visudo
    assert others == ["sshd -t", "systemctl reload ssh"]
    assert (tmp_path / SUDO_RULES[1:]).stat().st_mode & 0o777 == 0o440
    again = Services()
    configure(Paths(tmp_path), RESTRICTION, again)
    assert again.commands == []


@pytest.mark.parametrize("program", ["visudo", "sshd"])
def test_nothing_is_restricted_if_sudo_or_ssh_refuses_its_file(tmp_path: Path, program: str):
    complete_logins(Paths(tmp_path))
    services = Services(refuse=program)
    with pytest.raises(ReleaseError):
        configure(Paths(tmp_path), RESTRICTION, services)
    assert not (tmp_path / SUDO_RULES[1:]).exists() and not (tmp_path / SSH_SETTINGS[1:]).exists()
    assert "systemctl reload ssh" not in services.commands


def test_nothing_is_restricted_before_people_can_log_in(tmp_path: Path):
    with pytest.raises(ReleaseError, match="no login for people yet"):
        configure(Paths(tmp_path), RESTRICTION, Services())
    assert not (tmp_path / SUDO_RULES[1:]).exists()


def test_the_run_after_one_that_was_killed_before_the_reload_reloads_the_services(tmp_path: Path):
    with pytest.raises(ReleaseError):
        configure(Paths(tmp_path), CONFIGURATION, Services(refuse="systemctl"))
    services = Services()
    configure(Paths(tmp_path), CONFIGURATION, services)
    assert "systemctl reload-or-restart nginx" in services.commands


def test_a_second_operator_is_told_of_the_lock_within_five_seconds_with_the_login():
    assert WAIT_SECONDS <= 4


def test_the_error_of_a_lock_names_its_holder(tmp_path: Path):
    lock = tmp_path / "lock"
    refused = pytest.raises(ReleaseError, match="a release of 3f2a")
    with exclusive(lock, "a release of 3f2a"), refused, exclusive(lock, "another", wait=0.2):
        pass


def test_the_lock_of_a_killed_holder_is_free(tmp_path: Path):
    code = (
        "import sys, time, pathlib; from host.lock import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1]), 'the dead'):\n    print('held', flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[2]
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, cwd=root)
    assert holder.stdout
    with holder.stdout as stdout:
        assert stdout.readline() == b"held\n"
        holder.kill()
        holder.wait()
    start = time.monotonic()
    with exclusive(tmp_path / "lock", "the living"):
        assert time.monotonic() - start < 1


def test_a_procfile_has_comments_blank_lines_and_several_processes():
    text = "# shop\n\nweb: gunicorn 'a:b()'\nworker:  rq worker  \n"
    assert processes(text) == {"web": "gunicorn 'a:b()'", "worker": "rq worker"}


def test_the_error_quotes_a_procfile_line_of_another_form():
    with pytest.raises(ValueError, match="'web gunicorn'"):
        processes("web gunicorn\n")


def test_the_env_file_quotes_characters_that_systemd_would_interpret():
    text = env_file({"B": 'say "hi" for $5 `now` \\', "A": "two\nlines % and ü"})
    assert text == 'A="two\nlines % and ü"\nB="say \\"hi\\" for \\$5 \\`now\\` \\\\"\n'


def test_the_program_continues_when_nobody_reads_its_output():
    code = "from host.console import say\nimport sys\nfor _ in range(3): say('line')\nsys.stderr.write('done')"
    read, write = os.pipe()
    os.close(read)
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True, cwd=root)
    os.close(write)
    assert (result.returncode, result.stderr) == (0, "done")
