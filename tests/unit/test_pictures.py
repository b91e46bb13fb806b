from __future__ import annotations

import json
import re

import pytest

from tools.pictures import boxes
from tools.pictures.__main__ import FOLDER, drawn
from tools.pictures.terminal import Terminal

PICTURES = drawn()


def test_every_picture_is_what_its_source_draws():
    assert {file.name for file in PICTURES} == {file.name for file in FOLDER.glob("*.svg")}
    for file, picture in PICTURES.items():
        assert file.read_text() == picture, f"{file.name} is out of date: python3 -m tools.pictures"


def test_a_picture_loads_nothing_and_runs_nothing():
    for picture in PICTURES.values():
        assert re.findall(r"<(script|image|use|foreignObject|a)\b|\b(href|src)=|@import|url\(", picture) == []


def test_the_resource_tree_shows_what_the_recorded_run_created():
    screen = Terminal(columns=200)
    for line in (FOLDER / "terminal.cast").read_text().splitlines()[1:]:
        screen.write(json.loads(line)[2])
    rows = ["".join(character for character, _ in line) for line in screen.lines]
    created = [re.sub(r"[+│├└─]", "", row).split()[:2] for row in rows if re.match(r" \+ .* created \(", row)]
    tree = re.findall(r"\*(\S+)\* +`(\S+)`", (FOLDER / "resources.txt").read_text())
    assert sorted(tree) == sorted((name, type_.removeprefix("pulumi-python:dynamic/")) for type_, name in created)


def test_a_box_that_is_not_closed_is_refused():
    with pytest.raises(ValueError, match="line 1, column 1 isn't closed"):
        boxes.draw("A title\n┌───┐\n│   │\n└───")


def test_a_terminal_goes_up_overwrites_and_clears_the_rest_of_a_line():
    terminal = Terminal(columns=80)
    terminal.write("one line\r\ntwo\r\x1b[1A\x1b[1m\x1b[38;5;2mnew\x1b[0m\x1b[K")
    assert terminal.screen(2) == ((("n", "c2 b"), ("e", "c2 b"), ("w", "c2 b")), (("t", ""), ("w", ""), ("o", "")))


def test_a_terminal_wraps_a_line_that_is_too_long():
    terminal = Terminal(columns=3)
    terminal.write("abcd")
    assert [len(line) for line in terminal.screen(5)] == [3, 1]
