"""The note about WebSockets that uvicorn would refuse."""

from __future__ import annotations

import pytest

from components.app import websockets

ROUTE = 'app = FastAPI()\n\n@app.websocket("/ws")\n'


def found(web: str = "uvicorn --uds $GANTRY_SOCKET app:app", **files: str) -> list[str]:
    names = {"__": "/", "_py": ".py", "_txt": ".txt", "_lock": ".lock"}
    contents = dict[str, bytes]()
    for name, text in files.items():
        for sign, character in names.items():
            name = name.replace(sign, character)
        contents[name] = text.encode()
    return list(websockets.notes({"Procfile": f"web: {web}\n".encode(), **contents}))


@pytest.mark.parametrize(
    "source",
    [
        ROUTE,
        '\n\n@router.websocket_route("/ws")\n',
        '\n\nroutes = [WebSocketRoute("/ws", ws)]\n',
        '\nrouter = ProtocolTypeRouter({\n    "websocket": URLRouter(urls)})\n',
    ],
)
def test_the_first_route_is_named_if_uvicorn_lacks_a_package(source: str):
    [note] = found(main_py=source, requirements_txt="fastapi\nuvicorn\n")
    assert "main.py, line 3 has WebSockets" in note
    assert "add `websockets` to the app's packages" in note


@pytest.mark.parametrize("web", ["gunicorn -k uvicorn_worker.UvicornWorker app:app", "fastapi run --port $PORT"])
def test_uvicorn_is_found_behind_other_programs(web: str):
    assert len(found(web, app_py=ROUTE)) == 1


@pytest.mark.parametrize(
    "lists",
    [
        {"requirements_txt": "fastapi\nuvicorn[standard]\n"},
        {"requirements_txt": "fastapi[standard]==0.120\n"},
        {"requirements_txt": "uvicorn\nwsproto>=1\n"},
        {"uv_lock": '[[package]]\nname = "websockets"\n'},
    ],
)
def test_with_a_package_there_is_nothing_to_say(lists: dict[str, str]):
    assert found(app_py=ROUTE, **lists) == []


def test_other_servers_tests_and_clients_are_left_alone():
    client = "import websocket\nws = websocket.create_connection(url)\nsocketio = SocketIO(app)\n"
    middleware = 'if scope["type"] == "websocket":\n    pass\n'
    assert found("hypercorn app:app", app_py=ROUTE) == []
    assert found("gunicorn app:app", app_py=ROUTE) == []
    assert found(tests__app_py=ROUTE, test_ws_py=ROUTE, app_py=client + middleware) == []
