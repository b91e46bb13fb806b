"""Which Debian mirror this computer uses, read from its own apt configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from components.local.host import LocalError, run

SUITE = "trixie"
_RELEASES = {
    *("buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"),
    *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
}
_KEPT_OPTIONS = re.compile(r"^Acquire::(https?::Proxy\b|Check-Valid-Until\b|Check-Date\b)")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One line of apt's sources: where, which suites, which components."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """Where the packages of a base image come from."""

    archive: str
    security: str

    def sources(self, suite: str = SUITE) -> str:
        """The sources of a machine, in deb822 form."""
        entries = ((self.archive, f"{suite} {suite}-updates"), (self.security, f"{suite}-security"))
        return "\n".join(
            f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\n"
            "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
            for uri, suites in entries
        )


def parse_one_line(text: str) -> Iterator[Source]:
    """`deb [options] uri suite component...`"""
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", " ", line.split("#", 1)[0]).split()
        if len(words) >= 3 and words[0] == "deb":
            yield Source(uris=(words[1],), suites=(words[2],), components=tuple(words[3:]))


def parse_deb822(text: str) -> Iterator[Source]:
    """Paragraphs of `Key: value`, where a line that begins with a space goes on with the value before it."""
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[key] = f"{fields.get(key, '')} {line.strip()}"
            elif ":" in line:
                key, value = line.split(":", 1)
                key = key.strip().lower()
                fields[key] = value.strip()
        words = {name: tuple(value.split()) for name, value in fields.items()}
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0", "off")
        if enabled and "deb" in words.get("types", ()):
            yield Source(
                uris=words.get("uris", ()),
                suites=words.get("suites", ()),
                components=words.get("components", ()),
            )


def choose_mirror(sources: list[Source], read_list: dict[str, str] | None = None) -> Mirror:
    """The first Debian archive and security archive among the sources; raises LocalError where one is missing.

    `read_list` has the text of the lists that `mirror+file:` addresses name.
    """
    archive = security = ""
    for source in sources:
        if "main" not in source.components:
            continue
        uris = [uri for given in source.uris for uri in _plain(given, read_list or {})]
        for suite in source.suites:
            base, _, pocket = suite.replace("/", "-").partition("-")
            if base not in _RELEASES or pocket not in ("", "updates", "security"):
                continue
            if pocket == "security":
                security = security or next((uri for uri in uris if _is_archive(uri, "debian-security")), "")
            else:
                archive = archive or next((uri for uri in uris if _is_archive(uri, "debian")), "")
    missing = [name for name, uri in (("debian", archive), ("debian-security", security)) if not uri]
    if missing:
        raise LocalError(
            f"/etc/apt names no mirror of {' and '.join(missing)}",
            "The base image comes from the Debian mirror that this computer uses",
            "Add it to /etc/apt/sources.list.d, component main, for any of Debian's suites",
        )
    return Mirror(archive=archive, security=security)


def _plain(uri: str, lists: dict[str, str]) -> list[str]:
    uri = uri.rstrip("/")
    if uri.startswith("mirror+file:"):
        lines = (line.split() for line in lists.get(urlsplit(uri).path, "").splitlines())
        return [words[0].rstrip("/") for words in lines if words and not words[0].startswith("#")]
    return [uri] if urlsplit(uri).scheme in ("http", "https", "file") else []


def _is_archive(uri: str, kind: str) -> bool:
    """Third parties use Debian's suite names too: only a path that ends like Debian's own archive counts."""
    parts = urlsplit(uri).path.strip("/").split("/")
    if len(parts) > 1 and re.fullmatch(r"\d{8}T\d{6}Z", parts[-1]):
        parts.pop()  # a dated snapshot
    return parts[-1] == kind


def host_mirror(etc: Path = Path("/etc/apt")) -> Mirror:
    sources: list[Source] = []
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]:
        if path.is_file():
            sources += parse_one_line(path.read_text())
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        sources += parse_deb822(path.read_text())
    named = {urlsplit(uri).path for source in sources for uri in source.uris if uri.startswith("mirror+file:")}
    lists = {name: Path(name).read_text() for name in named if Path(name).is_file()}
    return choose_mirror(sources, lists)


def host_options() -> str:
    """The host's settings of apt without which its mirror can't be used: a proxy, a snapshot's old dates."""
    dump = run(["apt-config", "dump"], check=False).stdout
    return "".join(f"{line}\n" for line in dump.splitlines() if _KEPT_OPTIONS.match(line))
