"""The files of an app that says which packages it needs, without a folder."""

from __future__ import annotations

from host.packages.requirements import Read


def app_files(**texts: str) -> Read:
    """Reads the files of an app. In their names, _ stands for a dot."""
    return {name.replace("_", "."): text.encode() for name, text in texts.items()}.get
