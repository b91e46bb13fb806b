"""The Debian mirror that this computer uses, from its own apt configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from components.local.computer import LocalError, run

SUITE = "trixie"
_RELEASES = {
    *("buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"),
    *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
}
# Without these options a mirror can be unreachable (a proxy) or unusable (a snapshot's old dates).
_NEEDED_OPTIONS = re.compile(r"^Acquire::(https?::Proxy\b|Check-Valid-Until\b|Check-Date\b)")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One entry of apt's sources."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """The addresses of the two archives that a base image is installed from."""

    archive: str
    security: str

    def sources(self, suite: str = SUITE) -> str:
        """The apt sources of a machine, in deb822 format."""
        entries = ((self.archive, f"{suite} {suite}-updates"), (self.security, f"{suite}-security"))
        return "\n".join(
            f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\n"
            "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
            for uri, suites in entries
        )


def parse_one_line(text: str) -> Iterator[Source]:
    """The sources in lines of the form ``deb [options] uri suite component...``."""
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", " ", line.split("#", 1)[0]).split()
        if len(words) >= 3 and words[0] == "deb":
            yield Source(uris=(words[1],), suites=(words[2],), components=tuple(words[3:]))


def parse_deb822(text: str) -> Iterator[Source]:
    """The sources in paragraphs of ``Key: value``. A line that begins with a space continues the value above it."""
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


def choose_mirror(sources: list[Source], mirror_lists: dict[str, str] | None = None) -> Mirror:
    """The first Debian archive and the first security archive of the sources. Raises LocalError if one is missing.

    ``mirror_lists`` has the text of each file that a ``mirror+file:`` address names.
    """
    archive = security = ""
    for source in sources:
        if "main" not in source.components:
            continue
        uris = [uri for address in source.uris for uri in _plain_uris(address, mirror_lists or {})]
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
            "The base image is installed from the Debian mirror that this computer uses",
            "Add it to /etc/apt/sources.list.d with the component main and any Debian suite",
        )
    return Mirror(archive=archive, security=security)


def _plain_uris(uri: str, mirror_lists: dict[str, str]) -> list[str]:
    """The addresses that ``uri`` stands for, of the kinds that debootstrap can read."""
    uri = uri.rstrip("/")
    if uri.startswith("mirror+file:"):
        lines = (line.split() for line in mirror_lists.get(urlsplit(uri).path, "").splitlines())
        return [words[0].rstrip("/") for words in lines if words and not words[0].startswith("#")]
    return [uri] if urlsplit(uri).scheme in ("http", "https", "file") else []


def _is_archive(uri: str, kind: str) -> bool:
    """Whether the path ends like Debian's own archive. Third parties use Debian's suite names, too."""
    parts = urlsplit(uri).path.strip("/").split("/")
    if len(parts) > 1 and re.fullmatch(r"\d{8}T\d{6}Z", parts[-1]):
        parts.pop()  # the date of a snapshot
    return parts[-1] == kind


def computer_mirror(etc: Path = Path("/etc/apt")) -> Mirror:
    """The mirror that this computer uses. Raises LocalError if there is none."""
    sources: list[Source] = []
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]:
        if path.is_file():
            sources += parse_one_line(path.read_text())
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        sources += parse_deb822(path.read_text())
    paths = {urlsplit(uri).path for source in sources for uri in source.uris if uri.startswith("mirror+file:")}
    return choose_mirror(sources, {path: Path(path).read_text() for path in paths if Path(path).is_file()})


def computer_options() -> str:
    """This computer's apt options that its mirror needs, one per line."""
    dump = run(["apt-config", "dump"], check=False).stdout
    return "".join(f"{line}\n" for line in dump.splitlines() if _NEEDED_OPTIONS.match(line))
