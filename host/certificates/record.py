"""The record of a server's certificate: the request for it, and the result of the last run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from host import files
from host.paths import Paths


@dataclass(frozen=True, kw_only=True)
class Request:
    """The certificate that the server asks for.

    ``names`` begins with the site's own: its domain, or its IP address if it has none. ``address`` is where visitors
    reach the server. ``directory`` is the URL of an ACME authority, and ``root`` the certificates (PEM) with which
    its HTTPS is checked besides those that the server trusts anyway.
    """

    names: tuple[str, ...]
    address: str
    directory: str
    root: str = ""

    def essential(self, missing: Mapping[str, str]) -> dict[str, str]:
        """``missing`` without the www. of the site's own name: it may never get a record."""
        return {name: reason for name, reason in missing.items() if name != f"www.{self.names[0]}"}


@dataclass(frozen=True, kw_only=True)
class Record:
    """The request, and the result of the last run.

    ``missing`` has the names without a certificate, each with the reason and what to do. ``problem`` is the error of
    the last request to the authority, empty after a success. ``failures`` counts the failed requests since the last
    success. ``refused`` has the names that the authority refused, each with the time. ``tried`` is the time of the
    last request, and ``checked`` that of the last look at DNS. Times are seconds since the epoch.
    """

    request: Request
    missing: dict[str, str] = field(default_factory=dict[str, str])
    problem: str = ""
    failures: int = 0
    tried: float = 0.0
    checked: float = 0.0
    refused: dict[str, float] = field(default_factory=dict[str, float])

    def failed(self, problem: str, now: float) -> Record:
        return replace(self, problem=problem, failures=self.failures + 1, tried=now, checked=now)

    def succeeded(self, now: float) -> Record:
        return replace(self, problem="", failures=0, tried=now, checked=now)


def read(paths: Paths) -> Record | None:
    """None if no certificate was asked for, or if the record can't be read: then the next `up` asks again.

    Another version of the host program may have written it. Fields that this version doesn't know are left out.
    """
    try:
        document: dict[str, Any] = json.loads(paths.certificate_record.read_bytes())
        values = _known_fields(Record, document)
        values["request"] = request_of(document["request"])
        return Record(**values)
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None


def request_of(document: dict[str, Any]) -> Request:
    """The request in a JSON document, which may have more fields. Raises TypeError or KeyError if one is missing."""
    values = _known_fields(Request, document)
    values["names"] = tuple(document["names"])
    return Request(**values)


def _known_fields(kind: type[Record | Request], document: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: document[field.name] for field in fields(kind) if field.name in document}


def write(paths: Paths, record: Record) -> None:
    files.write(paths.certificate_record, json.dumps(asdict(record), indent=1).encode(), 0o600)
