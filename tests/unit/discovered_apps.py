"""Small apps without a Procfile, and the command or the error that they get."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from components.app import discovery
from components.app.discovery import DiscoveryError

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
FLASK = "from flask import Flask\napp = Flask(__name__)\n"
# An app that its own module makes with an argument, in a package without a module of a usual name.
FACTORY = "from flask import Flask\ndef create_app(config_name):\n    app = Flask(__name__)\n    return app\n"
MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
DJANGO = {
    "manage.py": MANAGE,
    "shop/__init__.py": "",
    "shop/settings.py": "WSGI_APPLICATION = 'shop.wsgi.application'\n",
    "shop/wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
    "shop/asgi.py": "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n",
}


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
