"""The files of a server's configuration that the host program brings, because most stacks have the same ones.

So they are uploaded once, and aren't part of each server's state: with 50 servers, that made `up` slower.
"""

from __future__ import annotations

import functools

from components.server.configuration import PATHS, configuration
from components.settings.common import Settings

# In the host program: an object of contents by absolute path.
NAME = "host/program_files.json"
# A preview shows the lines of these files, because they depend on many settings.
_SHOWN = (PATHS.site, PATHS.gunicorn_settings)


@functools.cache
def program_files() -> dict[str, str]:
    """Contents by absolute path on the server, as the default settings make them."""
    files = configuration(Settings(), host_program="", restricted=True).files
    return {path: content for path, content in files.items() if path not in map(str, _SHOWN)}
