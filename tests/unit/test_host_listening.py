"""Where processes listen, by the kernel's tables."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from host import listening
from host.listening import TcpListener

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
REST = "00000000:0000 0A 00000000:00000000 00:00000000 00000000   995        0 411 1 0 100 0 0 10 0\n"
IPV4 = f"   0: 0100007F:1F90 {REST}"
ANY = f"   1: 00000000:4E20 {REST}"
IPV6 = f"   0: 00000000000000000000000001000000:4E20 00000000000000000000000000000000:0000 {REST.partition(' ')[2]}"
CONNECTION = IPV4.replace(" 0A ", " 01 ")


@pytest.mark.skipif(sys.byteorder == "big", reason="the rows are those of a little-endian machine")
def test_the_kernels_table_is_read_up_to_the_first_connection():
    listeners = list(listening.parse_tcp([IPV4, ANY, CONNECTION, IPV4]))
    assert listeners == [TcpListener("127.0.0.1", 8080, 995, 411), TcpListener("0.0.0.0", 20000, 995, 411)]
    assert [listener.address for listener in listening.parse_tcp([IPV6])] == ["::1"]


@pytest.mark.parametrize(
    ("bound", "only_v6", "address"),
    [
        ("127.0.0.1", False, "127.0.0.1"),
        ("0.0.0.0", False, "127.0.0.1"),
        ("127.0.0.2", False, "127.0.0.2"),
        ("::1", False, "::1"),
        ("::", False, "127.0.0.1"),
        ("::", True, "::1"),
    ],
)
def test_a_listener_is_reachable_at_an_address_that_it_accepts(bound: str, only_v6: bool, address: str):
    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    dual = family == socket.AF_INET6 and bound == "::" and not only_v6
    with socket.create_server((bound, 0), family=family, dualstack_ipv6=dual) as server:
        port = server.getsockname()[1]
        assert listening.reachable_address(port, os.getuid()) == address
        assert listening.reachable_address(port, os.getuid() + 1) is None
    assert listening.reachable_address(port, os.getuid()) is None


def test_the_ports_and_sockets_of_a_process_are_found(tmp_path: Path):
    script = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); u = socket.socket(socket.AF_UNIX);"
    script += "u.bind(sys.argv[1]); u.listen(); print(s.getsockname()[1], flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(tmp_path / "app sock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        port = int(process.stdout.readline())
        group = listening.Group((process.pid,))
        assert group.listens_on() == [port, str(tmp_path / "app sock")]
        assert group.seconds_busy() > 0
        assert process.pid in listening.Group.of(process.pid).processes
        process.stdin.close()
