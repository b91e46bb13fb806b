"""An ACME authority on a machine of its own: Debian's pebble, and the DNS server that it asks for names.

Pebble validates HTTP challenges on port 80 of the address that ``set_address`` gives to a name. It keeps accounts and
keys in memory only, so a new Authority knows none of an earlier one.
"""

from __future__ import annotations

import http.client
import json
import ssl
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Self

from components.local import launch, machine
from tests.machine.local_machines import LocalMachines

DAY = 86_400
# Pebble listens on its own port; clients reach it through a proxy, which can be stopped without pebble's memory.
_PORT, _PEBBLE_PORT, _MANAGEMENT_PORT, _DNS_PORT, _NAMES_PORT = 443, 14000, 15000, 8053, 8055
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
cat > pebble.json
new_certificate() {{
    openssl req -quiet -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$1.key" -out "$1.pem" \\
        -subj "/CN=test $1" -days 30 "${{@:2}}"
}}
new_certificate root -addext keyUsage=critical,keyCertSign
new_certificate pebble -CA root.pem -CAkey root.key \\
    -addext basicConstraints=critical,CA:FALSE -addext "subjectAltName=IP:$0"
"""
_RUN = """set -eu
systemd-run --quiet --unit=challtestsrv pebble-challtestsrv -defaultIPv4= -defaultIPv6= -dns01=:{dns} \\
    -management=:{names} -doh= -http01= -https01= -tlsalpn01=
systemd-run --quiet --unit=pebble {variables} pebble -config {folder}/pebble.json -dnsserver 127.0.0.1:{dns}
"""


@dataclass
class Authority:
    """``root`` is the PEM certificate that signed the authority's own HTTPS certificate."""

    machines: LocalMachines
    spec: machine.Spec
    root: str
    _proxies: int = field(default=0)

    @classmethod
    def boot(cls, machines: LocalMachines, network: str, *, lifetime: int = 90 * DAY, rejected_nonces: int = 5) -> Self:
        """Boot the machine on a network and start the authority.

        ``lifetime`` is that of each certificate in seconds. ``rejected_nonces`` is the percentage of valid requests
        that pebble refuses once with `badNonce`.
        """
        spec = machines.create(network)
        machines.ssh(spec, "true")
        config = json.dumps({"pebble": _config(lifetime)}).encode()
        machines.send(spec, config, f"sudo bash -c '{_INSTALL}' {spec.address}")
        # Every request has its names validated: by default, pebble remembers half of them.
        variables = f"-E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_AUTHZREUSE=0 -E PEBBLE_WFE_NONCEREJECT={rejected_nonces}"
        run = _RUN.format(dns=_DNS_PORT, names=_NAMES_PORT, folder=_FOLDER, variables=variables)
        machines.send(spec, run.encode(), "sudo sh")
        authority = cls(machines=machines, spec=spec, root=machines.ssh(spec, f"sudo cat {_FOLDER}/root.pem") + "\n")
        authority.start()
        launch.wait_until(authority._answers, "pebble", 20)
        return authority

    @property
    def directory(self) -> str:
        """The URL that a client starts with."""
        return f"https://{self.spec.address}/dir"

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
        self._ssh(f"sudo systemctl stop {self._proxy}.socket {self._proxy}.service")

    def start(self) -> None:
        """Accept connections."""
        self._proxies += 1
        listen = f"--socket-property=ListenStream={_PORT}"
        self._ssh(f"sudo systemd-run --quiet --unit={self._proxy} {listen} {_PROXY} 127.0.0.1:{_PEBBLE_PORT}")

    def log(self) -> list[str]:
        """What pebble has logged, by line: the requests and the validations."""
        return self._ssh("sudo journalctl --output=cat --unit=pebble").splitlines()

    def requests(self, path: str) -> int:
        """How often clients have posted to a path of pebble's, such as ``ORDER``, also in vain."""
        return sum(f"POST {path} " in line for line in self.log())

    @property
    def _proxy(self) -> str:
        return f"acme-{self._proxies}"

    def _answers(self) -> bool:
        try:
            return bool(self.issuer)
        except OSError:
            return False

    def _ssh(self, command: str) -> str:
        return self.machines.ssh(self.spec, command)

    def _management(self, path: str) -> str:
        context = ssl.create_default_context(cadata=self.root)
        connection = http.client.HTTPSConnection(self.spec.address, _MANAGEMENT_PORT, timeout=10, context=context)
        with closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def _set_names(self, action: str, document: dict[str, Any]) -> None:
        with closing(http.client.HTTPConnection(self.spec.address, _NAMES_PORT, timeout=10)) as connection:
            connection.request("POST", f"/{action}", json.dumps(document))
            response = connection.getresponse()
            assert response.status == 200, response.read()


def _config(lifetime: int) -> dict[str, Any]:
    return {
        "listenAddress": f"127.0.0.1:{_PEBBLE_PORT}",
        "managementListenAddress": f"0.0.0.0:{_MANAGEMENT_PORT}",
        "certificate": f"{_FOLDER}/pebble.pem",
        "privateKey": f"{_FOLDER}/pebble.key",
        "httpPort": 80,
        "tlsPort": 443,
        "certificateValidityPeriod": lifetime,
        "retryAfter": {"authz": 1, "order": 1},
    }
