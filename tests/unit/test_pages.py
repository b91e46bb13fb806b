"""The pages for Nginx's own answers."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import PurePath
from typing import Any

import pytest

from components.server import pages
from components.server.configuration import configuration
from components.server.program_files import program_files
from host.paths import Paths
from tests.stack_settings import balancer_files, make_settings
from tests.unit.golden_files import rendered_files
from tests.unit.test_golden import parse_nginx

FILES = {PurePath(path).name: text for path, text in pages.files().items()}
HTML = [name for name in FILES if name.endswith(".html")]
SITE = str(Paths().site)
VOID = {"meta"}


def server_files(**changes: Any) -> dict[str, str]:
    return configuration(make_settings(**changes), "/h.pyz").files


class Checker(HTMLParser):
    """Records what isn't well-formed."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = list[str]()
        self.open = list[str]()
        self.tags = list[str]()

    def handle_decl(self, decl: str) -> None:
        if decl != "doctype html" or self.tags:
            self.faults.append(decl)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if re.search("[<>&]", data) and self.open[-1] != "style":
            self.faults.append(data)


@pytest.mark.parametrize("name", HTML)
def test_a_page_is_well_formed_small_and_alone(name: str):
    text = FILES[name]
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert (checker.faults, checker.open) == ([], [])
    assert checker.tags == [
        "html", "head", "meta", "meta", "meta", "title", "style", "body", "main", "p", "h1", "p", "p",
    ]  # fmt: skip
    assert text.startswith('<!doctype html>\n<html lang="en">\n')
    assert len(text.encode()) < 2048
    assert not re.search(r"script|src=|href=|url\(|@import|//|gantry|nginx", text, re.IGNORECASE)
    assert '<meta name="viewport"' in text
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_a_page_has_its_status_in_title_text_and_json(page: pages.Page):
    assert f"<title>{page.status} {page.title}</title>" in FILES[f"{page.name}.html"]
    assert f'<p class="status">{page.status}</p>' in FILES[f"{page.name}.html"]
    document = json.loads(FILES[f"{page.name}.json"])
    assert document == {"error": f"{page.reason} {page.advice}", "status": page.status}


def sites() -> list[str]:
    texts = [text for name, text in rendered_files().items() if name.startswith("site-")]
    return [*texts, balancer_files()[SITE]]


def test_each_page_that_a_site_names_exists_in_both_formats():
    named = {name for text in sites() for name in re.findall(rf"{pages.URL}/(\w+)\.\$page_format", text)}
    assert named == {page.name for page in pages.PAGES}


def test_nginx_replaces_no_answer_of_the_app_except_for_static_files():
    for text in sites():
        [*_, site] = [block for block in parse_nginx(text).block if block.words == ["server"]]
        for location in site.block:
            intercepts = ["proxy_intercept_errors", "on"] in [line.words for line in location.block]
            assert intercepts is (location.words[1:2] == ["~"] or "@last_asset" in location.words)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "html"),
        ("*/*", "html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),
        ("text/html, application/json", "html"),
        ("application/json, text/html", "json"),
        ("application/json, text/plain, */*", "json"),
        ("Application/JSON", "json"),
    ],
)
def test_programs_that_ask_for_json_get_it(accept: str, expected: str):
    [table] = [block for block in parse_nginx(server_files()[SITE]).block if block.words[-1] == "$page_format"]
    default, *patterns = [line.words for line in table.block]
    assert default == ["default", "html"]
    matching = [answer for pattern, answer in patterns if re.search(pattern.strip('"')[2:], accept, re.IGNORECASE)]
    assert [*matching, "html"][0] == expected


def test_the_host_program_brings_the_pages_and_all_stacks_have_the_same():
    named = set(pages.files())
    assert named <= set(program_files())
    for files in (server_files(), server_files(domain="example.org", maintenance=True), balancer_files()):
        assert {path: files[path] for path in named} == pages.files()
