"""The few elements of SVG that the pictures consist of.

Without scripts and fonts: GitHub shows a picture as an image, which can load nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

SANS = "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"
MONOSPACE = "ui-monospace, SFMono-Regular, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"


def page(width: float, height: float, *, title: str, style: str, elements: Iterable[str]) -> str:
    """The text of a whole file. A screen reader reads ``title`` aloud."""
    size = f'width="{number(width)}" height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", f"<style>\n{style}</style>", *elements, "</svg>", ""])


def rectangle(x: float, y: float, width: float, height: float, kind: str, radius: float = 0) -> str:
    return _element("rect", {"class": kind, "x": x, "y": y, "width": width, "height": height, "rx": radius})


def path(data: str, kind: str) -> str:
    return _element("path", {"class": kind, "d": data})


def circle(x: float, y: float, radius: float, kind: str) -> str:
    return _element("circle", {"class": kind, "cx": x, "cy": y, "r": radius})


def text(x: float, y: float, spans: Iterable[str], kind: str = "") -> str:
    """A line of text that begins at a point; ``spans`` come from span()."""
    opening = f'<text x="{number(x)}" y="{number(y)}"' + (f' class="{kind}"' if kind else "")
    return f"{opening}>{''.join(spans)}</text>"


def span(words: str, kind: str = "", x: float | None = None) -> str:
    attributes = (f' class="{kind}"' if kind else "") + ("" if x is None else f' x="{number(x)}"')
    return f"<tspan{attributes}>{escape(words)}</tspan>" if attributes else escape(words)


def number(value: float) -> str:
    """At most two decimals, so that a picture is the same on every computer."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _element(name: str, attributes: dict[str, str | float]) -> str:
    words = [
        f"{key}={quoteattr(value if isinstance(value, str) else number(value))}" for key, value in attributes.items()
    ]
    return f"<{name} {' '.join(words)}/>"
