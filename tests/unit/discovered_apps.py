"""Small apps without a Procfile, and the command or the error that they get."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from components.app import discovery
from components.app.discovery import DiscoveryError

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
FLASK = "from flask import Flask\napp = Flask(__name__)\n"


def command(folder: Path, files: Mapping[str, str | bytes], packages: str = "uvicorn-worker") -> str:
    """The command for an app with these files."""
    contents = {
        name: text.encode() if isinstance(text, str) else text
        for name, text in {**({"requirements.txt": packages} if packages else {}), **files}.items()
    }
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return discovery.command(folder, contents)


def refusal(folder: Path, files: Mapping[str, str | bytes], packages: str = "uvicorn-worker") -> str:
    """The error for an app with these files."""
    with pytest.raises(DiscoveryError) as caught:
        command(folder, files, packages)
    return str(caught.value)
