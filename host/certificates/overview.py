"""The certificate that `gantry status` and `gantry check` describe."""

from __future__ import annotations

from dataclasses import dataclass

from host.certificates import issued, obtain, own_certificate
from host.certificates.issued import Issued
from host.certificates.record import Record
from host.paths import Paths


@dataclass(frozen=True, kw_only=True)
class Overview:
    """``lines`` are for people. ``record`` is None if the certificate is that of the settings."""

    certificate: Issued | None
    record: Record | None
    lines: list[str]

    def is_late(self, now: float) -> bool:
        return self.certificate is not None and self.certificate.is_late(now)


def read(paths: Paths) -> Overview | None:
    """None if the site shall have no certificate."""
    if record := obtain.current_record(paths):
        lines = obtain.lines(paths, record)
        return Overview(certificate=issued.read(paths.certificate), record=record, lines=lines)
    if certificate := own_certificate.served(paths):
        return Overview(certificate=certificate, record=None, lines=[obtain.description(certificate)])
    return None
