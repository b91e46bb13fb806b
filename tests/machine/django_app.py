"""A Django app whose page names its stylesheet by the digest of its content, as ManifestStaticFilesStorage does."""

from __future__ import annotations

SETTINGS = """
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.staticfiles", "shop"]
MIDDLEWARE = ["whitenoise.middleware.WhiteNoiseMiddleware"]
ROOT_URLCONF = "shop.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}
"""
URLS = """
from django.db import connection
from django.http import HttpResponse
from django.templatetags.static import static
from django.urls import path


def visits(request):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS visit (id INTEGER PRIMARY KEY)")
        cursor.execute("INSERT INTO visit DEFAULT VALUES")
        cursor.execute("SELECT COUNT(*) FROM visit")
        return HttpResponse(str(cursor.fetchone()[0]))


urlpatterns = [
    path("", lambda request: HttpResponse(static("shop/style.css"))),
    path("healthz", lambda request: HttpResponse("ok")),
    path("visits", visits),
]
"""
MANAGE = """
import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
execute_from_command_line(sys.argv)
"""
WSGI = """
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
"""


def style(colour: str) -> str:
    """The content of the stylesheet."""
    return f"body {{ color: {colour} }}\n"


def app(colour: str, **files: str) -> dict[str, str]:
    """The files of the app. The page is the path of its stylesheet, which has this ``colour``."""
    return {
        "manage.py": MANAGE,
        "requirements.txt": "django\nwhitenoise\n",
        "Procfile": "web: gunicorn shop.wsgi\n",
        "shop/__init__.py": "",
        "shop/settings.py": SETTINGS,
        "shop/urls.py": URLS,
        "shop/wsgi.py": WSGI,
        "shop/static/shop/style.css": style(colour),
        **files,
    }
