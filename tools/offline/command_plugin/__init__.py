"""Pulumi's `command` provider, for computers that can't download the official plugin."""

from __future__ import annotations

NAME = "command"
VERSION = "1.2.1"
