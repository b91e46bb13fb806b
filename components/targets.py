"""The targets by name. To add one, add its package here; components/target_loader.py describes the modules in it."""

from __future__ import annotations

TARGETS = {"local": "components.local", "aws": "components.aws", "digitalocean": "components.digitalocean"}
