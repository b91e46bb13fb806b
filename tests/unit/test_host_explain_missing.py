"""Variables, parts of packages, templates and folders that an app lacks, and the sentences with their remedies."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.explain import explain

# The words of pydantic 2 and 1.
SETTINGS = """pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settings
database_url
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.11/v/missing
secret_key
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.11/v/missing
"""
OLDER_SETTINGS = """pydantic.error_wrappers.ValidationError: 1 validation error for AppConfig
token
  field required (type=value_error.missing)
"""
GETENV = """  File "/opt/gantry/releases/3f2a91c0ffee/app.py", line 2, in <module>
    LIMIT = int(os.environ.get("SHOP_LIMIT"))
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
TypeError: int() argument must be a string, a bytes-like object or a real number, not 'NoneType'
"""
DATABASE = "pulumi config set --secret --path env.DATABASE_URL <address>"
PSYCOPG = """ImportError: no pq wrapper available.
Attempts made:
- couldn't import psycopg 'c' implementation: No module named 'psycopg_c'
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            SETTINGS,
            "needs the variables DATABASE_URL and SECRET_KEY: pulumi config set --path env.DATABASE_URL <value>",
        ),
        (OLDER_SETTINGS, "needs the variable TOKEN: pulumi config set --path env.TOKEN <value>"),
        ("KeyError: \"Config 'TOKEN' is missing, and has no default.\"", "--path env.TOKEN <value>"),
        (GETENV, "--path env.SHOP_LIMIT <value>"),
        (GETENV.replace("            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n", ""), "--path env.SHOP_LIMIT <value>"),
        (
            "    A = os.getenv('A').split()\nAttributeError: 'NoneType' object has no attribute 'split'",
            "--path env.A <value>",
        ),
        ("sqlalchemy.exc.ArgumentError: Expected string or URL object, got None", DATABASE),
        ("RuntimeError: Either 'SQLALCHEMY_DATABASE_URI' or 'SQLALCHEMY_BINDS' must be set.", DATABASE),
        ("settings.DATABASES is improperly configured. Please supply the ENGINE value.", DATABASE),
        ("sqlalchemy.exc.ArgumentError: Could not parse SQLAlchemy URL from given URL string ''", DATABASE),
        ("Can't load plugin: sqlalchemy.dialects:postgres\n", "begin with postgresql://, and none with postgres://"),
        ("RuntimeError: The session is unavailable because no secret key was set.", "--secret --path env.SECRET_KEY"),
        ('Form data requires "python-multipart" to be installed.', "add python-multipart to requirements.txt"),
        ("ModuleNotFoundError: No module named 'email_validator'", "add email-validator to requirements.txt"),
        ("ImportError: jinja2 must be installed to use Jinja2Templates", "add jinja2 to requirements.txt"),
        ("RuntimeError: Install Flask with the 'async' extra in order to", "add flask[async] to requirements.txt"),
        (PSYCOPG, "add psycopg[binary] to requirements.txt"),
        ("RuntimeError: Directory 'static' does not exist", "add an empty file static/.gitkeep"),
        ("ValueError: Missing staticfiles manifest entry for 'a.css'", "collectstatic hasn't found a.css"),
    ],
)
def test_something_that_the_app_lacks_gets_the_command_or_the_file(text: str, sentence: str):
    assert sentence in explain(f"Starting gunicorn 27.0.1\n{text}")


@pytest.mark.parametrize(
    "text",
    [
        SETTINGS.replace("for Settings", "for Order"),
        OLDER_SETTINGS.replace("field required (type=value_error.missing)", "value is not a valid integer"),
        GETENV.replace("not 'NoneType'", "not 'list'"),
        "Can't load plugin: sqlalchemy.dialects:shop\n",
    ],
)
def test_other_errors_with_similar_words_have_no_known_cause(text: str):
    assert explain(text) == ""


@pytest.mark.parametrize(
    "source", ["env_prefix = 'SHOP_'", 'SettingsConfigDict(env_prefix="SHOP_")', '{"env_prefix": "SHOP_"}']
)
def test_the_prefix_of_pydantics_settings_is_a_part_of_the_variable(tmp_path: Path, source: str):
    (tmp_path / "config.py").write_text(source)
    assert "needs the variables SHOP_DATABASE_URL and SHOP_SECRET_KEY" in explain(SETTINGS, tmp_path)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("templates/Index.html", "The app has templates/Index.html, and Linux tells capitals from small letters"),
        ("shop/pages/index.html", "doesn't look there: name the folder shop/pages in template_folder of Flask"),
        ("templates/other.html", "The template index.html isn't in the release"),
        ("templates/my-index.html", "The template index.html isn't in the release"),
    ],
)
def test_a_template_is_sought_with_other_capitals_and_in_other_folders(tmp_path: Path, file: str, sentence: str):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    for text in (
        "jinja2.exceptions.TemplateNotFound: index.html",
        "django.template.exceptions.TemplateDoesNotExist: index.html",
    ):
        assert sentence in explain(text, tmp_path)
