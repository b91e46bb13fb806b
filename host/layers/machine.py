"""The machine below all layers: its disks and its memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from host.layers.finding import Finding
from host.paths import Paths

DISK, MEMORY = "disk", "memory"
# A disk with less is as good as full: a log, a session or a small upload fails soon.
LEAST_BYTES = 50_000_000
# Below this share of the memory, the kernel ends processes soon.
LEAST_MEMORY = 0.03
_MEGABYTE = 1_000_000


def disk(paths: Paths) -> Finding:
    """Whether the root disk and the app's data, which may be a volume, have space and free inodes."""
    for folder in (Path("/"), paths.app_home):
        if not folder.is_dir():
            continue
        usage, status = shutil.disk_usage(folder), os.statvfs(folder)
        remedy = f"find what is large: sudo du -xh --max-depth=2 {folder} | sort -h | tail"
        if usage.free < LEAST_BYTES:
            free, total = usage.free // _MEGABYTE, usage.total // _MEGABYTE
            return Finding(layer=DISK, problem=f"{folder} has {free} of {total} MB free", remedy=remedy)
        # Some file systems don't count inodes and report 0.
        if status.f_files and not status.f_favail:
            return Finding(
                layer=DISK, problem=f"{folder} has no free inode: no file can be created there", remedy=remedy
            )
    return Finding(layer=DISK)


def memory(proc: Path = Path("/proc")) -> Finding:
    """Whether there is memory left, with swap, and whether processes were ended because there was none."""
    table = _table(proc / "meminfo")
    available, total = table["MemAvailable"] + table.get("SwapFree", 0), table["MemTotal"]
    if available < LEAST_MEMORY * total:
        return Finding(
            layer=MEMORY,
            problem=f"{available // 1024} of {total // 1024} MB are available",
            remedy="fewer workers: `pulumi config set workers 2`; or a larger server. What uses it: ps aux --sort -rss",
        )
    killed = _table(proc / "vmstat").get("oom_kill", 0)
    note = f"{killed} processes were killed for lack of memory since the boot (sudo journalctl --dmesg)"
    return Finding(layer=MEMORY, note=note if killed else "")


def _table(file: Path) -> dict[str, int]:
    """The numbers of a table of the kernel, by name."""
    rows = [line.replace(":", " ").split() for line in file.read_text().splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}
