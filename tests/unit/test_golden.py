"""Templates compared with golden files, and parsed back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.golden_files import COMMAND, FOLDER, rendered_files

RENDERED = rendered_files()
SITES = [name for name in RENDERED if name.startswith("site-")]
# Variables that Nginx defines itself; it also defines http_<name> for each header.
NGINX_VARIABLES = {
    "$binary_remote_addr",
    "$body_bytes_sent",
    "$content_length",
    "$host",
    "$msec",
    "$realip_remote_addr",
    "$remote_addr",
    "$remote_user",
    "$request",
    "$request_method",
    "$request_time",
    "$request_uri",
    "$server_addr",
    "$server_port",
    "$scheme",
    "$status",
    "$time_local",
    "$upstream_status",
    "$uri",
}
_TOKEN = re.compile(r"""\s+|\#[^\n]*|(?P<mark>[{};])|(?P<word>"[^"]*"|'[^']*'|[^\s{};"'#]+)""")


@dataclass
class Directive:
    """One directive of an Nginx configuration, with the directives of its block."""

    words: list[str]
    block: list[Directive] = field(default_factory=list["Directive"])

    def walk(self) -> Iterator[Directive]:
        """All directives in the block, at any depth."""
        for directive in self.block:
            yield directive
            yield from directive.walk()


def parse_nginx(text: str) -> Directive:
    """Parse a configuration. Returns a directive without words; its block has the directives of the top level."""
    root = Directive([])
    stack, words, position = [root], list[str](), 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token, f"no token at {text[position : position + 40]!r}"
        position = token.end()
        if token["word"]:
            words.append(token["word"])
        elif token["mark"] == "}":
            assert not words and len(stack) > 1, f"unexpected }} after {words}"
            stack.pop()
        elif token["mark"]:
            assert words, f"unexpected {token['mark']}"
            directive, words = Directive(words), []
            stack[-1].block.append(directive)
            if token["mark"] == "{":
                stack.append(directive)
    assert stack == [root] and not words, "the last block or directive isn't closed"
    return root


def servers_of(root: Directive) -> list[Directive]:
    return [directive for directive in root.block if directive.words == ["server"]]


def candidate_of(root: Directive) -> Directive:
    """The server block that serves a deployment before the switch."""
    [server] = [
        server
        for server in servers_of(root)
        if ["proxy_pass", "http://candidate"] in [line.words for line in server.walk()]
    ]
    return server


def parse_unit(text: str) -> dict[str, list[tuple[str, str]]]:
    """The pairs of key and value of a unit, by section."""
    sections: dict[str, list[tuple[str, str]]] = {}
    pairs: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("["):
            pairs = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            key, separator, value = line.partition("=")
            assert separator and re.fullmatch("[A-Z][A-Za-z]+", key), f"no directive: {line!r}"
            pairs.append((key, value))
    return sections


def test_every_golden_file_has_a_case():
    assert {path.name for path in FOLDER.iterdir()} == set(RENDERED), f"write them with: {COMMAND}"


@pytest.mark.parametrize("name", RENDERED)
def test_the_rendered_template_is_the_golden_file(name: str):
    assert RENDERED[name] == (FOLDER / name).read_text(), f"if the change is intended, write it with: {COMMAND}"


@pytest.mark.parametrize("name", SITES)
def test_every_variable_of_a_site_is_defined(name: str):
    directives = list(parse_nginx(RENDERED[name]).walk())
    definitions = [directive for directive in directives if directive.words[0] in ("map", "geo")]
    defined = {directive.words[-1] for directive in definitions}
    words = [
        word
        for directive in directives
        for word in (directive.words[:-1] if directive in definitions else directive.words)
    ]
    defined |= {f"${name}" for name in re.findall(r"\(\?<(\w+)>", " ".join(words))}
    defined |= {directive.words[1] for directive in directives if directive.words[0] == "set"}
    used = set(re.findall(r"\$\w+", " ".join(words)))
    used_headers = {variable for variable in used if variable.startswith("$http_")}
    assert used - defined - used_headers - NGINX_VARIABLES == set()
    assert defined - used == set()


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("site-single.txt", [["_"]]),
        ("site-domain.txt", [["example.org"]]),
        ("site-aliases.txt", [["example.org"]]),
        ("site-tls-address.txt", [["_"]]),
        ("site-tls.txt", [["example.org"]]),
        ("site-balanced.txt", [["example.org"]]),
        ("site-https.txt", [["example.org"]]),
        ("site-maintenance.txt", [["_"]]),
        ("site-balanced-maintenance.txt", [["_"]]),
    ],
)
def test_the_last_server_of_a_site_is_the_default_and_has_the_apps_location(name: str, names: list[list[str]]):
    root = parse_nginx(RENDERED[name])
    servers = [server for server in servers_of(root) if server is not candidate_of(root)]
    server_names = [line.words[1:] for server in servers for line in server.block if line.words[0] == "server_name"]
    assert server_names == names
    defaults = [
        ["default_server" in line.words for line in server.block if line.words[0] == "listen"] for server in servers
    ]
    assert defaults == [[False, False]] * (len(servers) - 1) + [[True, True]]
    [location] = [directive for directive in servers[-1].block if directive.words == ["location", "/"]]
    assert ["proxy_pass", "http://app"] in [directive.words for directive in location.block]
    upstreams = [directive.words[1] for directive in root.block if directive.words[0] == "upstream"]
    assert upstreams == ["app", "candidate"]


@pytest.mark.parametrize("name", SITES)
def test_a_candidate_is_served_with_the_directives_of_a_visitors_request_on_a_loopback_address(name: str):
    root = parse_nginx(RENDERED[name])
    candidate, site = candidate_of(root), servers_of(root)[-1]
    assert [directive.words for directive in candidate.block if directive.words[0] == "listen"] == [
        ["listen", "127.0.0.1:30000"]
    ]
    own = ("proxy_pass", "proxy_intercept_errors", "proxy_buffering", "proxy_read_timeout", "proxy_send_timeout")
    [checked], *visited = [
        [
            [line.words for line in location.block if line.words[0].startswith("proxy_") and line.words[0] not in own]
            for location in server.block
            if any(line.words[0] == "proxy_pass" for line in location.block)
        ]
        for server in (candidate, site)
    ]
    # The app, its streams, its static files, the last responses of both before Nginx is replaced, and the page for
    # missing files.
    assert visited == [[checked] * 6]
    assert ["proxy_set_header", "Connection", "$connection_header"] in checked
    [upstream] = [directive for directive in root.block if directive.words == ["upstream", "candidate"]]
    assert [line.words for line in upstream.block] == [["server", "unix:/var/lib/gantry/candidate.sock", "max_fails=0"]]


def test_the_web_unit_starts_the_deployment_with_gunicorns_settings():
    sections = parse_unit(RENDERED["web-unit.txt"])
    assert list(sections) == ["Unit", "Service"]
    service = sections["Service"]
    assert ("Type", "exec") in service
    assert [value for key, value in service if key == "ExecStart"] == ["/opt/gantry/instances/%i/web"]
    # Later lines replace earlier ones, except in lists.
    lists = {"Environment", "EnvironmentFile", "ExecStop", "ReadWritePaths", "SystemCallFilter"}
    keys = [key for key, _ in service if key not in lists]
    assert [key for key in keys if keys.count(key) > 1] == []


@pytest.mark.parametrize(("name", "workers", "threads"), [("gunicorn.txt", 3, 4), ("gunicorn-workers.txt", 7, 3)])
def test_gunicorns_settings_run_as_python(
    name: str, workers: int, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1})
    # They look for files of the app in the working directory.
    monkeypatch.chdir(tmp_path)
    settings: dict[str, Any] = {}
    exec(compile(RENDERED[name], name, "exec"), settings)
    assert (settings["workers"], settings["threads"], settings["worker_class"]) == (workers, threads, "gthread")
    assert settings["preload_app"] is True


def test_gunicorns_settings_end_with_the_apps_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gunicorn.conf.py").write_text("threads = 9\n")
    settings: dict[str, Any] = {}
    exec(compile(RENDERED["gunicorn.txt"], "gunicorn.txt", "exec"), settings)
    assert settings["threads"] == 9
