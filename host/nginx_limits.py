"""Nginx's limits that depend on the server: how many connections fit into its memory, and uploads on its disk."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from host.errors import ReleaseError
from host.paths import Paths

# The default of the setting maxUpload, and its maximum: the largest body that Nginx accepts (client_max_body_size).
UPLOAD_MB, MOST_UPLOAD_MB = 32, 10_000
_MB = 1024 * 1024
# A connection may use this memory, on average: its header, and what the kernel has buffered.
CONNECTION_BYTES = 64 * 1024
# Limits of one worker process of Nginx. The lower one is enough for thousands of slow visitors on the smallest server.
FEWEST_CONNECTIONS, MOST_CONNECTIONS = 4096, 32768
# Uploads wait in a folder on the disk. Together they get this part of it.
UPLOADS_SHARE = 0.1
FEWEST_UPLOADS, MOST_UPLOADS = 16, 512
# If these fill more than half of the disk, there are fewer. But this many must fit: one of an address, and of others.
LARGEST_SHARE, LEAST_UPLOADS = 0.5, 4
# Uploads of one address at a time: this many, and at most this part of all. So on a small disk, too, one address leaves
# room for others.
UPLOADS_PER_ADDRESS, ADDRESS_SHARE = 16, 0.25
_BODY_SIZE = re.compile(r"^\s*client_max_body_size\s+(\d+)m;", re.MULTILINE)
_CONNECTIONS = re.compile(r"^(\s*worker_connections\s+)\d+;", re.MULTILINE)


def computed_files(paths: Paths, configured: Mapping[str, str]) -> Mapping[str, str]:
    """The contents of the files with these limits, by absolute path. Empty on a server without Nginx.

    The site among the ``configured`` files has the setting maxUpload. Raises ReleaseError if the disk is too small.
    """
    try:
        main = paths.nginx_main.read_text()
    except FileNotFoundError:
        return {}
    files = _most_open_files()
    connections = connections_per_worker(_memory_bytes(), os.cpu_count() or 1, files)
    disk = os.statvfs(_existing(paths.nginx_bodies))
    total = uploads(disk.f_blocks * disk.f_frsize, max_upload(configured))
    return {
        str(Paths().nginx_main): _CONNECTIONS.sub(rf"\g<1>{connections};", main),
        # A request needs two connections, and perhaps a file.
        str(Paths().nginx_open_files): f"worker_rlimit_nofile {min(files, 3 * connections)};\n",
        str(Paths().nginx_limits): _upload_limits(total),
    }


def connections_per_worker(memory_bytes: int, workers: int, open_files: int) -> int:
    """How many connections a worker process of Nginx may have. It may have at most ``open_files`` files and connections
    open.
    """
    fitting = max(FEWEST_CONNECTIONS, memory_bytes // CONNECTION_BYTES // workers)
    return min(MOST_CONNECTIONS, fitting, open_files * 3 // 4)


def max_upload(configured: Mapping[str, str]) -> int:
    """The setting maxUpload in MB, from the site among these files."""
    match = _BODY_SIZE.search(configured.get(str(Paths().site), ""))
    return int(match[1]) if match else UPLOAD_MB


def uploads(disk_bytes: int, megabytes: int = UPLOAD_MB) -> int:
    """How many uploads of this size all visitors together may send at a time. Raises ReleaseError if too few fit."""
    most = int(disk_bytes * LARGEST_SHARE) // (megabytes * _MB)
    if most < LEAST_UPLOADS:
        fitting_megabytes = int(disk_bytes * LARGEST_SHARE) // LEAST_UPLOADS // _MB
        raise ReleaseError(
            f"maxUpload is {megabytes} MB, but must be at most {fitting_megabytes} MB on this server: Nginx writes"
            f" uploads to the disk of {disk_bytes // _MB} MB, and {LEAST_UPLOADS} of them must fit into half of it."
            f" Nothing was changed. Set it with: pulumi config set maxUpload {fitting_megabytes}; or use servers with a"
            " larger disk"
        )
    fitting = int(disk_bytes * UPLOADS_SHARE) // (megabytes * _MB)
    return min(MOST_UPLOADS, most, max(FEWEST_UPLOADS, fitting))


def lack_of_space(paths: Paths, configured: Mapping[str, str]) -> str | None:
    """A sentence if the largest upload doesn't fit on the disk at present."""
    disk, largest = os.statvfs(_existing(paths.nginx_bodies)), max_upload(configured)
    free = disk.f_bavail * disk.f_frsize // _MB
    if free >= largest:
        return None
    return f"only {free} MB of the disk are free, so visitors can't upload {largest} MB, as maxUpload allows"


def uploads_per_address(total: int) -> int:
    """How many uploads one address may send at a time, if all together may send ``total``."""
    return max(1, min(UPLOADS_PER_ADDRESS, int(total * ADDRESS_SHARE)))


def _upload_limits(total: int) -> str:
    lines = [
        "# Computed from the size of the disk: host/nginx_limits.py. The site defines the zones.",
        f"limit_conn visitors_uploads {uploads_per_address(total)};",
        f"limit_conn uploads {total};",
    ]
    return "".join(f"{line}\n" for line in lines)


def _most_open_files() -> int:
    """The hard limit of the server's first process, which no other process may exceed."""
    limits = Path("/proc/1/limits").read_text()
    match = re.search(r"^Max open files\s+\S+\s+(\d+)", limits, re.MULTILINE)
    return int(match[1]) if match else MOST_CONNECTIONS


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _existing(folder: Path) -> Path:
    """The folder, or the first one above it that exists."""
    return folder if folder.exists() else _existing(folder.parent)
