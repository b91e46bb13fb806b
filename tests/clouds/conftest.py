"""The SDK comes before the plugin's modules, which load its messages without it."""

from __future__ import annotations

import pulumi  # noqa: F401  (imported for what it loads)
