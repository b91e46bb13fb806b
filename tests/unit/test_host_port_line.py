from __future__ import annotations

import pytest

from host.port_line import corrected, is_of_the_app


@pytest.mark.parametrize(
    ("command", "place", "line"),
    [
        ("gunicorn -b 0.0.0.0:8000 a:b", 8000, "gunicorn -b 0.0.0.0:$PORT a:b"),
        ("gunicorn --bind='0.0.0.0:8000' a:b", 8000, 'gunicorn --bind="0.0.0.0:$PORT" a:b'),
        ("PORT=8000 python serve.py --max 80001", 8000, "python serve.py --max 80001"),
        ("export PORT=8000 && python serve.py", 8000, "python serve.py"),
        ("uvicorn a:b --port=8000 | tee log", 8000, "uvicorn a:b --port=$PORT | tee log"),
        ("uvicorn a:b", 8000, "uvicorn --port $PORT a:b"),
        ("cd src && uvicorn a:b | tee log", 8000, "cd src && uvicorn --port $PORT a:b | tee log"),
        ("waitress-serve a:b", 8080, "waitress-serve --port=$PORT a:b"),
        ("flask --app shop run -h 0.0.0.0", 5000, "flask --app shop run --port $PORT -h 0.0.0.0"),
        ("python manage.py runserver", 8000, "python manage.py runserver 0.0.0.0:$PORT"),
        ("python -m http.server", 8000, "python -m http.server $PORT"),
        ("streamlit run app.py", 8501, "streamlit run --server.port $PORT app.py"),
        ("gunicorn -b unix:/tmp/a.sock a:b", "/tmp/a.sock", "gunicorn -b unix:$GANTRY_SOCKET a:b"),
    ],
)
def test_the_line_listens_on_the_variable(command: str, place: int | str, line: str):
    assert corrected(command, [place]) == line


@pytest.mark.parametrize("command", ["python app.py", "./start.sh", "gunicorn -k uvicorn.workers.UvicornWorker a:b"])
def test_a_program_that_chooses_its_port_itself_has_no_line(command: str):
    assert corrected(command, [8000]) == ""


@pytest.mark.parametrize(
    ("command", "is_app"),
    [
        ("gunicorn -w 2 a:b", True),
        ("gunicorn a:b --bind 0.0.0.0:1", False),
        ("gunicorn -c x.py a:b", False),
        ("python a.py", False),
    ],
)
def test_gunicorn_without_an_address_listens_nowhere_else_by_itself(command: str, is_app: bool):
    assert is_of_the_app(command) == is_app
    assert corrected("gunicorn -w 2 a:b", [5000]) == ""
