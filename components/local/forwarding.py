"""IPv4 forwarding of this computer, which machines need to reach other networks."""

from __future__ import annotations

from pathlib import Path

from components.local import computer, store

_SETTING = Path("/proc/sys/net/ipv4/ip_forward")
# The setting from before the first network, with the boot in which it was read.
_RECORD = store.STATE / "ip_forward.json"


def enable() -> None:
    """Turns forwarding on, and records the earlier value. The caller holds the lock of the state folder."""
    value = _SETTING.read_text().strip()
    record = store.read_json(_RECORD)
    if record is None or record["boot"] != computer.boot_id():
        store.write_json(_RECORD, {"boot": computer.boot_id(), "value": value})
    if value != "1":
        _SETTING.write_text("1")


def restore() -> None:
    """Sets forwarding as it was before the first network, unless this computer has been restarted since."""
    record = store.read_json(_RECORD)
    if record and record["boot"] == computer.boot_id() and _SETTING.read_text().strip() != record["value"]:
        _SETTING.write_text(record["value"])
    _RECORD.unlink(missing_ok=True)
