"""Requests that try to pass the maintenance page: raw requests, some of which only look like the health path."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

# The health path of the apps that these requests are for.
HEALTH_PATH = "/healthz"
ACME = "/.well-known/acme-challenge/"
# Nginx itself refuses a request with the other statuses: bad syntax, an unknown method, a URI that is too long.
CLOSED = {400, 414, 501, 503, 505}
OPEN_PATHS = (HEALTH_PATH, f"{ACME}Tk-9_x")

# Before and after the health path.
_PREFIXES = (
    *("/x/..", "/x/../", "/x/%2e%2e", "/x/%2e%2e/", "/x/.%2e", "/x/%2E.", "/x%2f..", "/x%2f..%2f", "/x/y/../..", "/."),
    *("/./", "/%2e", "/%2e/", "/", "//", "///", "/%2f", "%2f", "/;", "/;x=1", "/x;", "/x;/..", "/x/;/../..", "/x|"),
    *("/x", "/%00", "/%0a", "/%0d%0a", "/%20", "/%09", "\\", "/\\", "/x\\..", "/%5c", "/x/..%5c", "/?", "/x?", "/x?y="),
    *("/#", "/x#", "/*", "/~", "/%", "/%25", "/%252e%252e", "/..", "/../", "/../..", "/%c0%ae%c0%ae", "/x/..;"),
    "/static/..",
)
_SUFFIXES = (
    *(
        "/",
        "//",
        "/.",
        "/..",
        "/../",
        "/../x",
        "/x",
        "/x/..",
        "/./",
        "/%2e%2e",
        "/%2e%2e/",
        "/..%2f",
        "/.%2e/x",
        ".",
        "..",
    ),
    *("%0a", "%0d", "%0d%0a", "%00", "%20", "%09", "%0ax", "%0a/x", "%2f", "%2fx", "%5c", "\\", "\\..", "\\../x", "?"),
    *("?x", "?x=1", "?/../x", "?#", "#", "#/../x", "#x", ";", ";x", ";/../x", "%3f", "%3fx", "%23", "%23x", "%3b"),
    *(
        "%",
        "%25",
        "%2500",
        "*",
        "~",
        "|",
        "^",
        "$",
        "%24",
        "&",
        "=",
        "+",
        ":",
        "@",
        "!",
        ",",
        "'",
        "%22",
        "<",
        "[",
        "{",
    ),
    *("html", ".html", ".json", "z", "/healthz", "/../healthz", "%2e", "\x0b", "\x0c", "\x7f", "é", "%c3%a9", "%u002e"),
)
_SPELLINGS = (
    *(
        "/HEALTHZ",
        "/Healthz",
        "/healthZ",
        "/h%65althz",
        "/%68ealthz",
        "/health%7a",
        "/health%7A",
        "/healt%68z",
        "healthz",
    ),
    *("/healthz".replace("h", "%68"), "/he%61lthz", "/%2568ealthz", "/health", "/healthzz", "/h/ealthz", "/heal//thz"),
    *("*", "/healthz,/", "/healthz /", "/ /healthz", "/healthz HTTP/1.1", "/healthz\t/", "/healthz\t", "\t/healthz"),
)
_METHODS = (
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "get",
    "Get",
    "X",
    "GET_",
    "HEA",
)
_HOSTS = ("x", "x:80", "healthz", "x/healthz/..", "[::1]", "127.0.0.1", "localhost", "x@y")


def _closed_requests() -> Iterator[bytes]:
    """Requests that must get the maintenance page, or be refused by Nginx."""
    bad_paths = [
        *(prefix + HEALTH_PATH for prefix in _PREFIXES),
        *(HEALTH_PATH + suffix for suffix in _SUFFIXES),
        *_SPELLINGS,
        *(
            ACME + token
            for token in ("../../", "../../x", "%2e%2e/x", "x/../../../x", "x?y", "x%0a", "x/", "x.y", "x;y", "%2f")
        ),
        *(
            path
            for path in (ACME.rstrip("/"), ACME.upper() + "x", "/x/.." + ACME + "x", "/" + ACME + "x", "/.well-known/x")
        ),
        "/",
        "/page",
    ]
    for path in bad_paths:
        yield _request(path)
        yield _request(path, version="1.0")
        yield _request(f"http://x{path}")
    for method in _METHODS:
        yield _request(HEALTH_PATH, method=method)
        yield _request(f"{ACME}x", method=method)
    for host in _HOSTS:
        yield _request(f"http://{host}/x/..{HEALTH_PATH}")
        yield _request(f"http://{host}?{HEALTH_PATH}")
        yield _request(f"HTTP://{host}/{HEALTH_PATH}")
    for header in _HEADERS:
        yield _request("/page", header=header)
    yield b"GET /page\r\n"  # HTTP/0.9


# An app or a proxy may take the path or the visitor's address from one of these.
_HEADERS = (
    *(
        f"{name}: {HEALTH_PATH}"
        for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path", "X-Forwarded-Prefix")
    ),
    *(
        f"{name}: {address}"
        for name in ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Client-IP")
        for address in ("127.0.0.1", "::1", "", "127.0.0.1, 127.0.0.1")
    ),
    *("Forwarded: for=127.0.0.1", "X-Forwarded-For: x\r\nX-Forwarded-For: 127.0.0.1", "X-HTTP-Method-Override: GET"),
    *("X_Forwarded_For: 127.0.0.1", "Host: 127.0.0.1", f"Host: {HEALTH_PATH}", "User-Agent: ELB-HealthChecker/2.0"),
)


def _open_requests() -> Iterator[bytes]:
    """Requests that must reach the app."""
    for path in OPEN_PATHS:
        yield _request(path)
        yield _request(path, method="HEAD")
        yield _request(path, version="1.0")
        yield _request(f"http://other.test{path}")


def assert_only_the_health_path_passes(address: str) -> None:
    """Send all requests to the site at ``address``, which is in maintenance."""
    attempts, health_checks = _statuses(address, [*_closed_requests()]), _statuses(address, [*_open_requests()])
    assert {request: status for request, status in attempts.items() if status not in CLOSED} == {}
    assert {request: status for request, status in health_checks.items() if status in CLOSED} == {}
    assert (len(attempts), len(health_checks)) >= (500, 8)


def _statuses(address: str, requests: list[bytes]) -> dict[bytes, int]:
    """The status of the answer to each request; 400 if the connection was closed without one."""
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(requests, pool.map(lambda request: _status(address, request), requests), strict=True))


def _request(path: str, *, method: str = "GET", version: str = "1.1", header: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Connection: close"]
    lines += [] if header.startswith("Host:") else ["Host: rocket.test"]
    return "\r\n".join([*lines, *([header] if header else []), "", ""]).encode()


def _status(address: str, request: bytes) -> int:
    with socket.create_connection((address, 80), timeout=20) as connection:
        connection.sendall(request)
        try:
            answer = connection.recv(4096)
        except ConnectionResetError:
            return 400
    words = answer.split(maxsplit=2)
    # Nginx's own 405 has no Allow header, and the app's has one.
    if not words or (words[1] == b"405" and b"\r\nAllow:" not in answer):
        return 400
    # HTTP/0.9 has no status line: only the page, which would be the app's own about a path that it doesn't have.
    return int(words[1]) if answer.startswith(b"HTTP/") else 404 if b"404" in answer else 503
