"""The lists of DigitalOcean's own API, over HTTP: what is asked besides the provider."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.clouds.digitalocean import DigitalOcean, Document

TOKEN = "simulated"


def _named(document: Document) -> Document:
    return {"id": document["id"], "name": document["name"]}


def _numbered(document: Document) -> Document:
    return {"id": int(document["id"]), "name": document["name"]}


def _record(document: Document) -> Document:
    return {**_numbered({"name": "@", **document}), "type": document["type"], "data": document["value"]}


def _reserved(document: Document) -> Document:
    droplet = document.get("dropletId")
    return {
        "ip": document["ipAddress"],
        "region": {"slug": document["region"]},
        "droplet": {"id": int(droplet)} if droplet else None,
    }


# By path: what the account calls them, what the API calls their list, and how it tells of one.
_LISTS: dict[str, tuple[str, str, Callable[[Document], Document]]] = {
    "account/keys": ("ssh_key", "ssh_keys", _numbered),
    "droplets": ("droplet", "droplets", _numbered),
    "firewalls": ("firewall", "firewalls", _named),
    "load_balancers": ("load_balancer", "load_balancers", _named),
    "projects": ("project", "projects", _named),
    "reserved_ips": ("reserved_ip", "reserved_ips", _reserved),
    "vpcs": ("vpc", "vpcs", _named),
}


@contextmanager
def answering(cloud: DigitalOcean, page_size: int | None = None) -> Iterator[str]:
    """Where the API is; with pages no larger than ``page_size``, whatever is asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {key: int(values[0]) for key, values in parse_qs(parts.query).items()}
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._send(401, {"id": "unauthorized", "message": "Unable to authenticate you"})
            listed = _listed(cloud, parts.path.removeprefix("/v2/"))
            if listed is None or set(asked) - {"page", "per_page"}:
                return self._send(404, {"id": "not_found", "message": f"this API doesn't know {self.path}"})
            key, documents = listed
            size, page = page_size or asked.get("per_page", 20), asked.get("page", 1)
            more = f"{parts.path}?page={page + 1}" if len(documents) > size * page else None
            links = {"pages": {"next": more} if more else {}}
            return self._send(200, {key: documents[size * (page - 1) : size * page], "links": links})

        def _send(self, status: int, document: Document) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listed(cloud: DigitalOcean, path: str) -> tuple[str, list[Document]] | None:
    if found := re.fullmatch(r"domains/([^/]+)/records", path):
        ours = [each for each in cloud.all("record").values() if each["domain"] == found[1]]
        return ("domain_records", [_record(each) for each in ours]) if found[1] in cloud.all("domain") else None
    if found := re.fullmatch(r"vpcs/([^/]+)/members", path):
        return ("members", cloud.members(found[1])) if found[1] in cloud.all("vpc") else None
    if path not in _LISTS:
        return None
    kind, key, told = _LISTS[path]
    return key, [told(each) for each in cloud.all(kind).values()]
