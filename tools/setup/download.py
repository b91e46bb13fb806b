"""The official release of the Pulumi CLI: where it lies, whether it can be reached, and its check.

The archive comes from one server and its SHA-256 from another, both over HTTPS. That protects against a
damaged or cut-off download and against an archive exchanged on the first server alone. It does not protect
against a publisher whose release and checksums were both replaced: no checksum is pinned in this repository.
"""

from __future__ import annotations

import platform
import shutil
import tarfile
import threading
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path, PurePosixPath

from tools.setup.files import sha256_of
from tools.setup.report import SetupError, elapsed, say

ARCHIVES = "https://get.pulumi.com/releases/sdk"
CHECKSUMS = "https://github.com/pulumi/pulumi/releases/download"
PLATFORMS = {("Linux", "x86_64"): "linux-x64", ("Linux", "aarch64"): "linux-arm64"}
REACH_SECONDS = 3.0
STALL_SECONDS = 15.0


class NotToBeHad(Exception):
    """The download failed for want of a network, so another way should be tried."""


def release_platform() -> str | None:
    return PLATFORMS.get((platform.system(), platform.machine()))


def archive_name(version: str, release: str) -> str:
    return f"pulumi-v{version}-{release}.tar.gz"


def checksum_in(listing: str, name: str) -> str | None:
    """The SHA-256 that a `sha256sum` listing gives for the file `name`."""
    for line in listing.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[1].lstrip("*") == name and len(fields[0]) == 64:
            return fields[0].lower()
    return None


@cache
def reachable(url: str = ARCHIVES, seconds: float = REACH_SECONDS) -> bool:
    """Whether the server answers at all, in a thread because a name look-up has no time limit of its own."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):
                answers.append(True)
        except urllib.error.HTTPError as error:
            # A proxy that forbids the server answers 403 or 407; the server itself has no page here: 404.
            answers.append(error.code == 404)
        except OSError:
            answers.append(False)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds + 1)
    return bool(answers and answers[0])


def fetch(url: str, to: Path) -> None:
    start = said = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=STALL_SECONDS) as answer, to.open("wb") as file:
            while block := answer.read(1 << 20):
                file.write(block)
                if time.monotonic() - said >= 10:
                    said = time.monotonic()
                    say(f"downloading {url}: {file.tell() >> 20} MiB after {elapsed(said - start)}")
    except OSError as error:
        raise NotToBeHad(f"{url}: {error}") from error


def release_into(folder: Path, version: str, release: str) -> None:
    """Downloads and checks the release, and lays the engine and its Python host into `folder`."""
    name = archive_name(version, release)
    archive, listing = folder / name, folder / "checksums.txt"
    fetch(f"{CHECKSUMS}/v{version}/pulumi-{version}-checksums.txt", listing)
    fetch(f"{ARCHIVES}/{name}", archive)
    expected, found = checksum_in(listing.read_text(), name), sha256_of(archive)
    if expected != found:
        raise SetupError(
            f"{name} has the SHA-256 {found}, but its published checksums say {expected or 'nothing'}.\n"
            "It was not used. Try again: make setup. If it stays so, something alters downloads on the way."
        )
    unpack(archive, folder)
    archive.unlink()
    listing.unlink()


def unpack(archive: Path, folder: Path) -> None:
    """The engine and what it needs for Python; by base name, so that no member can reach outside `folder`."""
    with tarfile.open(archive) as members:
        for member in members:
            name = PurePosixPath(member.name).name
            content = members.extractfile(member) if member.isfile() else None
            if content and (name == "pulumi" or "python" in name):
                with content, (folder / name).open("wb") as file:
                    shutil.copyfileobj(content, file)
                (folder / name).chmod(0o755)
