"""DigitalOcean's own API over HTTP, as far as Gantry uses it besides the provider: its lists."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.clouds.digitalocean import SimulatedDigitalOcean
from tests.clouds.simulated_cloud import Document

TOKEN = "simulated"


def _with_text_id(document: Document) -> Document:
    return {"id": document["id"], "name": document["name"]}


def _with_number_id(document: Document) -> Document:
    return {"id": int(document["id"]), "name": document["name"]}


def _with_status(document: Document) -> Document:
    id = document["id"]
    return {"id": int(id) if id.isdigit() else id, "name": document["name"], "status": document["status"]}


def _record(document: Document) -> Document:
    return {**_with_number_id({"name": "@", **document}), "type": document["type"], "data": document["value"]}


def _reserved_ip(document: Document) -> Document:
    droplet = document.get("dropletId")
    return {
        "ip": document["ipAddress"],
        "region": {"slug": document["region"]},
        "droplet": {"id": int(droplet)} if droplet else None,
    }


# By path: the account's collection, the API's name of the list, and the entry of a document.
_LISTS: dict[str, tuple[str, str, Callable[[Document], Document]]] = {
    "account/keys": ("ssh_key", "ssh_keys", _with_number_id),
    "droplets": ("droplet", "droplets", _with_status),
    "firewalls": ("firewall", "firewalls", _with_text_id),
    "load_balancers": ("load_balancer", "load_balancers", _with_status),
    "projects": ("project", "projects", _with_text_id),
    "reserved_ips": ("reserved_ip", "reserved_ips", _reserved_ip),
    "volumes": ("volume", "volumes", _with_text_id),
    "vpcs": ("vpc", "vpcs", _with_text_id),
}


@contextmanager
def serve_api(cloud: SimulatedDigitalOcean, page_size: int | None = None) -> Iterator[str]:
    """Serve the API; its URL. ``page_size`` overrides the size that a request asks for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            parameters = {key: int(values[0]) for key, values in parse_qs(parts.query).items()}
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._reply(401, {"id": "unauthorized", "message": "Unable to authenticate you"})
            entries = _entries(cloud, parts.path.removeprefix("/v2/"))
            if entries is None or set(parameters) - {"page", "per_page"}:
                return self._reply(404, {"id": "not_found", "message": f"this API doesn't know {self.path}"})
            key, documents = entries
            size, page = page_size or parameters.get("per_page", 20), parameters.get("page", 1)
            next_page = f"{parts.path}?page={page + 1}" if len(documents) > size * page else None
            links = {"pages": {"next": next_page} if next_page else {}}
            return self._reply(200, {key: documents[size * (page - 1) : size * page], "links": links})

        def _reply(self, status: int, document: Document) -> None:
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


def _entries(cloud: SimulatedDigitalOcean, path: str) -> tuple[str, list[Document]] | None:
    """The name and the entries of the list at a path; None where there is no such list."""
    if match := re.fullmatch(r"domains/([^/]+)/records", path):
        domain = match[1]
        records = [record for record in cloud.documents("record").values() if record["domain"] == domain]
        return ("domain_records", [_record(record) for record in records]) if _exists(cloud, "domain", domain) else None
    if match := re.fullmatch(r"vpcs/([^/]+)/members", path):
        vpc = match[1]
        return ("members", cloud.vpc_members(vpc)) if _exists(cloud, "vpc", vpc) else None
    if path not in _LISTS:
        return None
    collection, key, entry = _LISTS[path]
    return key, [entry(document) for document in cloud.documents(collection).values()]


def _exists(cloud: SimulatedDigitalOcean, collection: str, id: str) -> bool:
    return id in cloud.documents(collection)
