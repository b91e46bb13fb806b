"""The certificate: whether it is there, how long it lasts, and the last error of the request for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from host.certificates import overview, serving
from host.layers import listeners
from host.layers.finding import Finding
from host.paths import Paths

LAYER = "certificate"
PORT = 443
NEWER = "set a newer one with: pulumi config set --path tls.certificate < fullchain.pem; then the same for tls.key"


def findings(paths: Paths) -> Iterator[Finding]:
    """A missing certificate is a note, because the site serves HTTP. One that ends soon is broken."""
    found = overview.read(paths)
    if found is None:
        return
    text = "; ".join(found.lines)
    if found.certificate and not listeners.on(PORT):
        yield Finding(
            layer=LAYER,
            problem=f"there is a certificate, but nothing listens on port {PORT}",
            remedy="sudo gantry check --repair",
            repair=lambda: serving.serve_again(paths),
        )
    elif found.is_late(time.time()):
        yield Finding(
            layer=LAYER,
            problem=f"it ends soon, and wasn't renewed: {text}",
            remedy="correct the cause, then: sudo gantry renew-certificate --now" if found.record else NEWER,
        )
    else:
        yield Finding(layer=LAYER, note=text)
