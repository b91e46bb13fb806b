"""Pulumi's `command` resource provider, for machines that cannot download the upstream plugin."""

from __future__ import annotations

NAME = "command"
VERSION = "1.2.1"
