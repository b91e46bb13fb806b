"""Environment markers of dependencies, such as ``python_version < "3.11" and extra == "socks"``.

The rules: https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from host.packages import versions

# A program that prints the variables of the Python that runs it, as JSON.
PRINT_ENVIRONMENT = """
import json, os, platform, sys
version = "%d.%d.%d" % sys.version_info[:3]
print(json.dumps({
    "implementation_name": sys.implementation.name, "implementation_version": version, "os_name": os.name,
    "platform_machine": platform.machine(), "platform_python_implementation": platform.python_implementation(),
    "platform_release": platform.release(), "platform_system": platform.system(),
    "platform_version": platform.version(), "python_full_version": version,
    "python_version": "%d.%d" % sys.version_info[:2], "sys_platform": sys.platform,
}))
"""
# The variables of markers. A Pipfile may have each as a key of a package, such as sys_platform = "== 'win32'".
VARIABLES = (
    "implementation_name", "implementation_version", "os_name", "platform_machine", "platform_python_implementation",
    "platform_release", "platform_system", "platform_version", "python_full_version", "python_version", "sys_platform",
)  # fmt: skip
_TOKEN = re.compile(r"""\s*(?:([()])|('[^']*'|"[^"]*")|(===|==|>=|<=|!=|~=|>|<)|([\w.]+))""")


def known_on_a_server(python: str) -> dict[str, str]:
    """The variables of the ``python`` version, such as 3.12 or 3.12.4, that are known before a server is asked."""
    complete = python if python.count(".") == 2 else f"{python}.0"
    return {
        "implementation_name": "cpython",
        "implementation_version": complete,
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": complete,
        "python_version": complete.rpartition(".")[0],
        "sys_platform": "linux",
    }


def applies(marker: str, environment: Mapping[str, str], extras: Collection[str] = ()) -> bool:
    """Whether a marker is true with the variables ``environment`` for a package that is wanted with these extras.

    An empty marker is true. Raises ValueError if the marker can't be read.
    """
    if not marker.strip():
        return True
    # A marker about an extra is true if it is for one of the wanted ones.
    tokens = list(_tokens(marker))
    return any(_Parser(tokens, {**environment, "extra": extra}).parse() for extra in (*extras, ""))


def _tokens(marker: str) -> Iterator[str]:
    position = 0
    while marker[position:].strip():
        match = _TOKEN.match(marker, position)
        if match is None:
            raise ValueError(f"the marker {marker!r} can't be read")
        position = match.end()
        yield match[0].strip()


class _Parser:
    """Reads tokens from left to right: ``and`` binds closer than ``or``."""

    def __init__(self, tokens: list[str], variables: Mapping[str, str]) -> None:
        self._tokens = list(tokens)
        self._variables = variables
        self._text = " ".join(tokens)

    def parse(self) -> bool:
        value = self._or()
        if self._tokens:
            raise ValueError(f"the marker {self._text!r} can't be read")
        return value

    def _or(self) -> bool:
        value = self._and()
        while self._next_is("or"):
            right = self._and()
            value = value or right
        return value

    def _and(self) -> bool:
        value = self._comparison()
        while self._next_is("and"):
            right = self._comparison()
            value = value and right
        return value

    def _comparison(self) -> bool:
        if self._next_is("("):
            value = self._or()
            self._take()
            return value
        left, operator, right = self._take(), self._take(), self._take()
        if operator == "not":
            operator, right = "not in", self._take()
        return self._compare(left, operator, right)

    def _compare(self, left: str, operator: str, right: str) -> bool:
        name = right if left[0] in "'\"" else left
        a, b = (self._value(word) for word in (left, right))
        if name == "extra":
            a, b = (re.sub(r"[-_.]+", "-", value).lower() for value in (a, b))
        if operator in ("in", "not in"):
            # "in" may be about a text, or about a list of words: "linux darwin".
            return (a in b) is (operator == "in")
        fits = versions.satisfies(f"{operator}{b}", a) if "version" in name else None
        if fits is not None:
            return fits
        results = {"==": a == b, "===": a == b, "!=": a != b, ">": a > b, "<": a < b, ">=": a >= b, "<=": a <= b}
        if operator not in results:
            raise ValueError(f"the marker {self._text!r} can't be read")
        return results[operator]

    def _value(self, word: str) -> str:
        if word[0] in "'\"":
            return word[1:-1]
        try:
            return self._variables[word]
        except KeyError:
            raise ValueError(f"the marker {self._text!r} can't be read: {word} is no variable of markers") from None

    def _next_is(self, token: str) -> bool:
        if self._tokens[:1] == [token]:
            self._tokens.pop(0)
            return True
        return False

    def _take(self) -> str:
        if not self._tokens:
            raise ValueError(f"the marker {self._text!r} can't be read: it ends early")
        return self._tokens.pop(0)
