"""Notes about WebSockets, which Nginx doesn't pass."""

from __future__ import annotations

import pytest

from components.app import websockets


def found(web: str = "gunicorn app:app", **files: str) -> list[str]:
    contents = {name.replace("__", "/").replace("_py", ".py"): text.encode() for name, text in files.items()}
    return list(websockets.notes({"Procfile": f"web: {web}\n".encode(), **contents}))


@pytest.mark.parametrize(
    ("web", "program"),
    [
        ("sh setup.sh && streamlit run app.py", "streamlit"),
        ("python -m streamlit run app.py --server.port $PORT", "streamlit"),
        ("panel serve app.ipynb --port $PORT", "panel"),
        ("poetry run shiny run --port $PORT app.py", "shiny"),
        ("sh -c 'uv run --frozen streamlit run app.py'", "streamlit"),
    ],
)
def test_a_program_whose_pages_need_a_websocket_is_named(web: str, program: str):
    [note] = found(web)
    assert f"servers don't pass WebSockets, through which {program} fills its pages" in note


@pytest.mark.parametrize("web", ["gunicorn panel:app", "python panel.py", "cd streamlit && gunicorn app:app"])
def test_a_folder_or_a_module_with_the_name_of_such_a_program_needs_none(web: str):
    assert found(web) == []


@pytest.mark.parametrize(
    "source",
    [
        'app = FastAPI()\n\n@app.websocket("/ws")\n',
        '\n\n@router.websocket_route("/ws")\n',
        '\n\nroutes = [WebSocketRoute("/ws", ws)]\n',
        "import flask\n\nfrom flask_sock import Sock\n",
        '\nrouter = ProtocolTypeRouter({\n    "websocket": URLRouter(urls)})\n',
    ],
)
def test_the_first_route_for_websockets_is_named(source: str):
    [note] = found(main_py=source)
    assert "main.py, line 3 has some: the other routes of the app work" in note


def test_websockets_of_tests_and_of_clients_are_left_alone():
    route = '@app.websocket("/ws")\n'
    client = "import websocket\nws = websocket.create_connection(url)\nsocketio = SocketIO(app)\n"
    middleware = 'if scope["type"] == "websocket":\n    pass\nred = Sock("red")\n'
    assert found(app_py=middleware) == []
    assert found(tests__app_py=route, test_ws_py=route, app_py=client) == []
