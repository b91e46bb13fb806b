"""Which stories are told; and the SDK, before the plugin's modules, which load its messages without it."""

from __future__ import annotations

import os

import pulumi  # noqa: F401  (imported for what it loads)

# All of .ci/run must end within 45 minutes; this one alone takes five to eight.
collect_ignore = [] if os.environ.get("CLOUDS") else ["test_balanced.py"]
