"""Downloads the official release of the Pulumi CLI and checks it.

The archive comes from one server and its SHA-256 from another, both over HTTPS. That protects against a damaged or
incomplete download, and against an archive that was exchanged on the first server only. It doesn't protect against a
publisher whose release and checksums were both replaced: this repository pins no checksum.
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
PROGRESS_SECONDS = 10.0


class DownloadError(Exception):
    """The download failed because of the network. The caller can try another way."""


def release_platform() -> str | None:
    """The official release's name for this computer, such as linux-x64, or None if there is no release for it."""
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
    """Whether the server answers. Runs in a thread, because a DNS look-up has no time limit of its own."""
    answers: list[bool] = []

    def send_request() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):
                answers.append(True)
        except urllib.error.HTTPError as error:
            # The server has no page at this address and answers 404. A proxy that blocks it answers 403 or 407.
            answers.append(error.code == 404)
        except OSError:
            answers.append(False)

    thread = threading.Thread(target=send_request, daemon=True)
    thread.start()
    thread.join(seconds + 1)
    return bool(answers and answers[0])


def fetch(url: str, path: Path) -> None:
    """Downloads the file to `path`, and reports the progress every ten seconds."""
    start = reported = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=STALL_SECONDS) as response, path.open("wb") as file:
            while block := response.read(1 << 20):
                file.write(block)
                if time.monotonic() - reported >= PROGRESS_SECONDS:
                    reported = time.monotonic()
                    say(f"downloading {url}: {file.tell() >> 20} MiB after {elapsed(reported - start)}")
    except OSError as error:
        raise DownloadError(f"{url}: {error}") from error


def release_into(folder: Path, version: str, release: str) -> None:
    """Downloads and checks the release, and unpacks the engine and its Python language host into the folder."""
    name = archive_name(version, release)
    archive, listing = folder / name, folder / "checksums.txt"
    fetch(f"{CHECKSUMS}/v{version}/pulumi-{version}-checksums.txt", listing)
    fetch(f"{ARCHIVES}/{name}", archive)
    expected, actual = checksum_in(listing.read_text(), name), sha256_of(archive)
    if expected != actual:
        raise SetupError(
            f"{name} has the SHA-256 {actual}, but its published checksums say {expected or 'nothing'}.\n"
            "It was not used. Try again: make setup. If the error persists, something on the network alters downloads."
        )
    unpack(archive, folder)
    archive.unlink()
    listing.unlink()


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks the engine and the files for Python. Only base names count, so no member can leave the folder."""
    with tarfile.open(archive) as members:
        for member in members:
            name = PurePosixPath(member.name).name
            content = members.extractfile(member) if member.isfile() else None
            if content and (name == "pulumi" or "python" in name):
                with content, (folder / name).open("wb") as file:
                    shutil.copyfileobj(content, file)
                (folder / name).chmod(0o755)
