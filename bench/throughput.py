"""Requests a second of the example app in the shapes that one meets, on one server, in turn."""

from __future__ import annotations

import itertools
import re
import subprocess

from bench import results, stacks

SECONDS = 4
CONNECTIONS = 64
# Beside the release that serves, with its packages and its code. Elastic Beanstalk's and the seed's are as they write
# them: without connections that are kept between Nginx and Gunicorn, behind an Nginx as Debian configures it.
OTHERS = r"""
instance=$(readlink -f /var/lib/gantry/current)
start() {
    unit=$1; shift
    systemd-run --quiet --unit="bench-$unit" --property=User=app --property=WorkingDirectory="$instance/app" \
        "$instance/venv/bin/gunicorn" "$@" rocket:app
}
start beanstalk --bind 127.0.0.1:8001 --workers 1 --threads 15
start seed --bind 127.0.0.1:8002 --workers 2
start alone --config "$instance/gunicorn.conf.py" --bind 0.0.0.0:8003
nft insert rule inet filter input tcp dport 8000-8003 accept
mkdir /etc/nginx/others
cat > /etc/nginx/others/others.conf <<'END'
map $http_upgrade $connection_upgrade { default "upgrade"; }
server {
    listen 8000;
    server_name beanstalk.test;
    location / {
        proxy_pass http://127.0.0.1:8001;
        proxy_http_version 1.1;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
}
server {
    listen 8000;
    server_name seed.test;
    location / {
        proxy_pass http://127.0.0.1:8002;
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }
}
END
sed 's#sites-enabled#others#; s#/run/nginx.pid#/run/others.pid#' /etc/nginx/nginx.conf > /etc/nginx/others.conf
systemd-run --quiet --unit=bench-nginx nginx -c /etc/nginx/others.conf -g 'daemon off;'
"""
SHAPES = {
    "gantry": ("gantry.test", 80),
    "beanstalk": ("beanstalk.test", 8000),
    "seed": ("seed.test", 8000),
    "gunicorn alone": ("gantry.test", 8003),
}


def measure(runs: int) -> None:
    with stacks.stack("throughput") as stack:
        stack.up()
        stack.script(f"set -eu\n{OTHERS}")
        address = stack.outputs()["servers"][0]["address"]
        rates: dict[str, list[float]] = {shape: [] for shape in SHAPES}
        for turn, (shape, (host, port)) in itertools.product(range(runs + 1), SHAPES.items()):
            rate = requests_a_second(f"http://{address}:{port}/", host)
            # In the first turn everything is warming up.
            if turn:
                rates[shape].append(rate)
    results.keep("throughput", rates)


def requests_a_second(url: str, host: str) -> float:
    """As many as there are; an error among them is an error of the measurement."""
    command = ["wrk", "--threads=1", f"--connections={CONNECTIONS}", f"--duration={SECONDS}s", "--header"]
    said = subprocess.run([*command, f"Host: {host}", url], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec: +([\d.]+)", said)
    if not found or "Socket errors" in said or "Non-2xx" in said:
        raise SystemExit(f"{url} as {host} doesn't answer well:\n{said}")
    return float(found[1])
