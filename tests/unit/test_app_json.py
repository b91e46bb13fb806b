"""Steps and buildpacks of app.json that servers don't run, and what to write instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from components.app import app_json

GUNICORN = "web: gunicorn app:app\n"
DOKKU = {"scripts": {"dokku": {"predeploy": "./a.sh", "postdeploy": "python b.py"}}}
MIGRATION = {"scripts": {"postdeploy": "python manage.py migrate && python manage.py loaddata shop"}}


def notes(
    document: object,
    procfile: str = GUNICORN,
    *,
    apt_packages: tuple[str, ...] = (),
    files: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """The notes for an app with this app.json and other files."""
    others = {name: text.encode() for name, text in files.items()}
    contents = {"Procfile": procfile.encode(), "app.json": json.dumps(document).encode(), **others}
    return list(app_json.notes(contents, apt_packages))


@pytest.mark.parametrize(
    ("procfile", "document", "expected"),
    [
        (GUNICORN, DOKKU, "run predeploy and postdeploy of app.json: to run them before the switch, add the line"
         " 'release: ./a.sh && python b.py'; commands that make files belong in a `build` line"),
        (f"{GUNICORN}release: ./a.sh\n", DOKKU,
         "run postdeploy of app.json: change the line of the Procfile to 'release: ./a.sh && python b.py'"),
        (f"{GUNICORN}release: ./a.sh && python b.py\n", DOKKU, ""),
        (GUNICORN, {"scripts": {"dokku": 7}}, ""),
        (GUNICORN, {"scripts": 7}, ""),
        (GUNICORN, [7], ""),
    ],
)  # fmt: skip
def test_dokkus_steps_of_a_deploy_get_a_release_line(procfile: str, document: object, expected: str):
    assert notes(document, procfile) == ([f"servers don't {expected}"] if expected else [])


@pytest.mark.parametrize(
    ("procfile", "files", "advice"),
    [
        (GUNICORN, {}, "add the line 'release: python manage.py migrate && python manage.py loaddata shop'"),
        (
            f"{GUNICORN}release: ./check.sh\n",
            {},
            "change the line of the Procfile to 'release: ./check.sh && python manage.py migrate && python",
        ),
        (
            f"{GUNICORN}release: python manage.py migrate\nload: python manage.py loaddata shop\n",
            {},
            "",
        ),
        (
            f"{GUNICORN}release: bash release.sh\n",
            {"release.sh": "python manage.py migrate\npython manage.py loaddata shop\n"},
            "",
        ),
    ],
)
def test_herokus_step_for_a_new_app_gets_a_release_line(procfile: str, files: dict[str, str], advice: str):
    found = notes(MIGRATION, procfile, files=files)
    assert len(found) == bool(advice)
    for note in found:
        assert "which Heroku runs once for a new app: if it may run with each release, " in note
        assert advice in note


@pytest.mark.parametrize(
    ("buildpacks", "advice"),
    [
        (
            ["heroku/python", {"url": "heroku-community/apt"}, "https://github.com/heroku/heroku-buildpack-nodejs.git"],
            "",
        ),
        ([{"url": "https://github.com/jonathanong/heroku-buildpack-ffmpeg-latest.git"}], "add ffmpeg to the Aptfile"),
        (
            [{"url": "heroku/chromedriver"}, {"url": "https://github.com/heroku/heroku-geo-buildpack#v1"}],
            "add chromium-driver and gdal-bin to the Aptfile, one a line",
        ),
        (["https://github.com/shop/heroku-buildpack-fonts"], "if the app needs fonts, add the Debian packages"),
        ([7, None, {"url": 7}], ""),
        ("heroku/python", ""),
    ],
)
def test_a_buildpack_that_installs_programs_gets_their_debian_packages(buildpacks: object, advice: str):
    found = notes({"buildpacks": buildpacks})
    assert len(found) == bool(advice)
    assert all(note.startswith("servers don't use the buildpacks of app.json: ") and advice in note for note in found)


def test_buildpacks_whose_packages_the_app_has_are_no_fault():
    document = {"buildpacks": ["shop/ffmpeg", "shop/tesseract"]}
    assert notes(document, files={"Aptfile": "ffmpeg\ntesseract-ocr\n"}) == []
    assert notes(document, apt_packages=("ffmpeg", "tesseract-ocr")) == []
    [note] = notes({}, files={".buildpacks": "# two\nhttps://github.com/heroku/heroku-buildpack-python\nshop/pandoc\n"})
    assert note == "servers don't use the buildpacks of .buildpacks: add pandoc to the Aptfile"
