"""An ACME authority on a machine of its own: Debian's pebble, and the DNS server that it asks for names.

Pebble validates HTTP challenges on port 80 of the address that ``set_address`` gives to a name. It keeps accounts and
keys in memory only, so a new Authority knows none of an earlier one.
"""

from __future__ import annotations

import http.client
import json
import ssl
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Self

from components.local import launch, machine
from tests.machine.local_machines import LocalMachines

DAY = 86_400
_DNS_PORT, _NAMES_PORT = 8053, 8055
# Paths of pebble: a client asks there for an account, and for a certificate.
ACCOUNT, ORDER = "/sign-me-up", "/order-plz"
_FOLDER = "/srv/acme"
_PROXY = "/usr/lib/systemd/systemd-socket-proxyd"
_INSTALL = f"""set -eu
export DEBIAN_FRONTEND=noninteractive
install() {{ apt-get -qqy install --no-install-recommends pebble > /dev/null; }}
# The lists of packages in the base image may be old.
install || {{ apt-get -qq update; install; }}
mkdir {_FOLDER}
cd {_FOLDER}
new_certificate() {{
    openssl req -quiet -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$1.key" -out "$1.pem" \\
        -subj "/CN=test $1" -days 30 "${{@:2}}"
}}
new_certificate root -addext keyUsage=critical,keyCertSign
new_certificate pebble -CA root.pem -CAkey root.key \\
    -addext basicConstraints=critical,CA:FALSE -addext "subjectAltName=IP:$0"
"""
_RUN_DNS = f"""systemd-run --quiet --unit=challtestsrv pebble-challtestsrv -defaultIPv4= -defaultIPv6= \\
    -dns01=:{_DNS_PORT} -management=:{_NAMES_PORT} -doh= -http01= -https01= -tlsalpn01="""


@dataclass
class Authority:
    """``root`` is the PEM certificate that signed the authority's own HTTPS certificate."""

    machines: LocalMachines
    spec: machine.Spec
    root: str
    # Tells the authorities of one machine apart: each has its own ports and units.
    _number: int = 0
    _proxies: int = 0

    @classmethod
    def boot(cls, machines: LocalMachines, network: str, *, lifetime: int = 90 * DAY, rejected_nonces: int = 5) -> Self:
        """Boot the machine on a network and start the authority.

        ``lifetime`` is that of each certificate in seconds. ``rejected_nonces`` is the percentage of valid requests
        that pebble refuses once with `badNonce`.
        """
        spec = machines.create(network)
        machines.ssh(spec, "true")
        machines.ssh(spec, f"sudo bash -c '{_INSTALL}' {spec.address}")
        machines.ssh(spec, f"sudo {_RUN_DNS}")
        root = machines.ssh(spec, f"cat {_FOLDER}/root.pem") + "\n"
        authority = cls(machines=machines, spec=spec, root=root)
        authority._run(lifetime, rejected_nonces)
        return authority

    def another(self, number: int, *, lifetime: int, rejected_nonces: int = 5) -> Self:
        """Start one more authority on the same machine. It knows the same names, but has its own accounts and keys."""
        authority = replace(self, _number=number, _proxies=0)
        authority._run(lifetime, rejected_nonces)
        return authority

    @property
    def directory(self) -> str:
        """The URL that a client starts with."""
        return f"https://{self.spec.address}:{self._port}/dir"

    @property
    def issuer(self) -> str:
        """The PEM certificate with which a client verifies the certificates that the authority issues."""
        return self._management("/roots/0")

    def set_address(self, name: str, *addresses: str) -> None:
        """Set the A record of a name to these IPv4 addresses. Without any, the name doesn't exist."""
        if addresses:
            self._set_names("add-a", {"host": name, "addresses": addresses})
        else:
            self._set_names("clear-a", {"host": name})

    def stop(self) -> None:
        """Refuse connections. Accounts and issued certificates stay known for ``start``."""
        self._ssh(f"sudo systemctl stop {self._proxy}.socket")
        # systemd has forgotten the service if there was no connection yet.
        service = f"{self._proxy}.service"
        self._ssh(f"! systemctl --quiet is-active {service} || sudo systemctl stop {service}")

    def start(self) -> None:
        """Accept connections."""
        self._proxies += 1
        listen = f"--socket-property=ListenStream={self._port}"
        self._ssh(f"sudo systemd-run --quiet --unit={self._proxy} {listen} {_PROXY} 127.0.0.1:{self._pebble_port}")

    def log(self) -> list[str]:
        """What pebble has logged, by line: the requests and the validations."""
        return self._ssh(f"sudo journalctl --output=cat --unit={self._pebble}").splitlines()

    def requests(self, path: str) -> int:
        """How often clients have posted to a path of pebble's, such as ``ORDER``, also in vain."""
        return sum(f"POST {path} " in line for line in self.log())

    def _run(self, lifetime: int, rejected_nonces: int) -> None:
        config = {
            "listenAddress": f"127.0.0.1:{self._pebble_port}",
            "managementListenAddress": f"0.0.0.0:{self._management_port}",
            "certificate": f"{_FOLDER}/pebble.pem",
            "privateKey": f"{_FOLDER}/pebble.key",
            "httpPort": 80,
            "tlsPort": 443,
            "certificateValidityPeriod": lifetime,
            "retryAfter": {"authz": 1, "order": 1},
        }
        file = f"{_FOLDER}/{self._pebble}.json"
        self.machines.send(self.spec, json.dumps({"pebble": config}).encode(), f"sudo tee {file} > /dev/null")
        # Every request has its names validated: by default, pebble remembers half of them.
        variables = f"-E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_AUTHZREUSE=0 -E PEBBLE_WFE_NONCEREJECT={rejected_nonces}"
        command = f"pebble -config {file} -dnsserver 127.0.0.1:{_DNS_PORT}"
        self._ssh(f"sudo systemd-run --quiet --unit={self._pebble} {variables} {command}")
        self.start()
        launch.wait_until(self._answers, "pebble", 20)

    # Pebble listens on its own port; clients reach it through a proxy, which can be stopped without pebble's memory.
    @property
    def _port(self) -> int:
        return 443 + self._number

    @property
    def _pebble_port(self) -> int:
        return 14000 + self._number

    @property
    def _management_port(self) -> int:
        return 15000 + self._number

    @property
    def _pebble(self) -> str:
        return f"pebble-{self._number}"

    @property
    def _proxy(self) -> str:
        return f"acme-{self._number}-{self._proxies}"

    def _answers(self) -> bool:
        try:
            return bool(self.issuer)
        except OSError:
            return False

    def _ssh(self, command: str) -> str:
        return self.machines.ssh(self.spec, command)

    def _management(self, path: str) -> str:
        context = ssl.create_default_context(cadata=self.root)
        connection = http.client.HTTPSConnection(self.spec.address, self._management_port, timeout=10, context=context)
        with closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def _set_names(self, action: str, document: dict[str, Any]) -> None:
        with closing(http.client.HTTPConnection(self.spec.address, _NAMES_PORT, timeout=10)) as connection:
            connection.request("POST", f"/{action}", json.dumps(document))
            response = connection.getresponse()
            assert response.status == 200, response.read()
