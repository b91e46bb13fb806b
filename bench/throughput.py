"""Measures the requests per second of the example app on one server, in five configurations, in turn."""

from __future__ import annotations

import itertools
import re
import subprocess

from bench import results, stacks

SECONDS = 4
CONNECTIONS = 64
# Runs four configurations beside the release that serves, with its packages and its code. Those of Elastic Beanstalk
# and of the seed are copies: Nginx keeps no connections to Gunicorn, and has Debian's configuration otherwise. The one
# on a port is served like a release whose web process listens on PORT.
OTHER_SHAPES = r"""
deployment=$(readlink -f /var/lib/gantry/current)
start() {
    unit=$1; shift
    systemd-run --quiet --unit="bench-$unit" --property=User=app --property=WorkingDirectory="$deployment/app" \
        "$deployment/venv/bin/gunicorn" "$@" rocket:app
}
start beanstalk --bind 127.0.0.1:8001 --workers 1 --threads 15
start seed --bind 127.0.0.1:8002 --workers 2
start alone --config "$deployment/gunicorn.conf.py" --bind 0.0.0.0:8003
start port --config "$deployment/gunicorn.conf.py" --bind 127.0.0.1:8004
systemd-run --quiet --unit=bench-forward --uid=app --property=LimitNOFILE=131072 \
    --socket-property=ListenStream=/run/gantry/bench.port --socket-property=SocketUser=app \
    --socket-property=SocketGroup=app --socket-property=SocketMode=0660 \
    /usr/lib/systemd/systemd-socket-proxyd --connections-max=16384 127.0.0.1:8004
cat > /etc/nginx/sites-enabled/port <<'END'
upstream port {
    server unix:/run/gantry/bench.port max_fails=0;
    keepalive 64;
    keepalive_timeout 50ms;
    keepalive_time 100ms;
}
server {
    listen 8005;
    server_tokens off;
    access_log /var/log/nginx/access.log combined buffer=64k flush=1s;
    access_log /var/log/nginx/gantry.log gantry buffer=16k flush=200ms;
    location / {
        proxy_pass http://port;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
    }
}
END
systemctl reload nginx
nft insert rule inet filter input tcp dport 8000-8005 accept
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
    "gantry on a port": ("gantry.test", 8005),
    "beanstalk": ("beanstalk.test", 8000),
    "seed": ("seed.test", 8000),
    "gunicorn alone": ("gantry.test", 8003),
}


def measure(runs: int) -> None:
    with stacks.stack("throughput") as stack:
        stack.up()
        stack.script(f"set -eu\n{OTHER_SHAPES}")
        address = stack.outputs()["servers"][0]["address"]
        rates: dict[str, list[float]] = {shape: [] for shape in SHAPES}
        for turn, (shape, (host, port)) in itertools.product(range(runs + 1), SHAPES.items()):
            rate = requests_a_second(f"http://{address}:{port}/", host)
            # The first turn warms everything up and doesn't count.
            if turn:
                rates[shape].append(rate)
    results.save("throughput", rates)


def requests_a_second(url: str, host: str) -> float:
    """The rate of one run of wrk. Any failed request ends the measurement."""
    command = ["wrk", "--threads=1", f"--connections={CONNECTIONS}", f"--duration={SECONDS}s", "--header"]
    stdout = subprocess.run([*command, f"Host: {host}", url], capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec: +([\d.]+)", stdout)
    if not rate or "Socket errors" in stdout or "Non-2xx" in stdout:
        raise SystemExit(f"some requests to {url} with the Host {host} failed:\n{stdout}")
    return float(rate[1])
