"""The versions that a checkout uses. The Pulumi SDK in requirements.txt has the same version as the engine."""

from __future__ import annotations

PULUMI = "3.259.0"
COMMAND_PLUGIN = "1.2.1"
