"""The pages for Nginx's own answers, as HTML for visitors and as JSON for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass

from components.server.templates import render
from host.paths import Paths

PATHS = Paths()
# Below this path, Nginx finds its pages. A visitor who asks for it gets 404.
URL = "/gantry-pages"
# In a directive error_page, without the file's ending: the status, and where the page is.
UNAVAILABLE = f"=503 {URL}/503"


@dataclass(frozen=True)
class Page:
    """The text of one page. Its file is named by the status, or by the situation."""

    name: str
    status: int
    title: str
    reason: str
    advice: str


PAGES = (
    Page(
        "400",
        400,
        "Bad request",
        "Your browser sent a request that this server can't read.",
        "Check the address and open it again. If that doesn't help, delete this site's cookies.",
    ),
    Page(
        "413",
        413,
        "Upload too large",
        "This site doesn't accept uploads of this size.",
        "Go back and choose a smaller file.",
    ),
    Page(
        "414",
        414,
        "Address too long",
        "This server doesn't accept an address of this length.",
        "Shorten it, or start at the first page of the site.",
    ),
    Page(
        "421",
        421,
        "Unknown site",
        "This server has no site of this name.",
        "Check the spelling of the name in the address.",
    ),
    Page(
        "429",
        429,
        "Too many requests",
        "Your network has sent more requests than this site accepts at a time.",
        "Wait a minute, then reload the page.",
    ),
    Page(
        "431",
        431,
        "Request too large",
        "Your browser sent more data with its request than this server accepts. Often these are cookies.",
        "Delete this site's cookies, then reload the page.",
    ),
    Page(
        "502",
        502,
        "Site unavailable",
        "The site doesn't answer at the moment.",
        "Wait a few seconds, then reload the page.",
    ),
    Page(
        "503",
        503,
        "Site unavailable",
        "The site doesn't answer at the moment.",
        "Wait a few seconds, then reload the page.",
    ),
    Page(
        "504",
        504,
        "No answer in time",
        "The site took too long to answer.",
        "Wait a minute, then reload the page. If you have sent a form, check first whether it arrived.",
    ),
    Page(
        "maintenance",
        503,
        "Under maintenance",
        "The site is closed for maintenance.",
        "Come back in a few minutes.",
    ),
    Page(
        "unreleased",
        503,
        "Not here yet",
        "This server is ready, but the site has no release yet.",
        "Come back in a few minutes.",
    ),
)


def files() -> dict[str, str]:
    """The contents of all pages by absolute path. They are the same for all stacks."""
    html = {str(PATHS.pages / f"{page.name}.html"): _html(page) for page in PAGES}
    return html | {str(PATHS.pages / f"{page.name}.json"): _json(page) for page in PAGES}


def _html(page: Page) -> str:
    return render("pages/page.html.j2", status=page.status, title=page.title, reason=page.reason, advice=page.advice)


def _json(page: Page) -> str:
    return f"{json.dumps({'error': f'{page.reason} {page.advice}', 'status': page.status})}\n"
