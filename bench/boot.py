"""Measures the first boot: the time from the base image to the first page, with `up` and with manual commands."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
import time
from pathlib import Path

from bench import results, stacks
from bench.results import Times
from components.local import image
from components.server.templates import text
from tests.machine.local_machines import LocalMachines, create_ssh_key
from tests.stack import ROOT, get

# The same packages, locked requirements and app, but without what makes Gantry's set-up safe and repeatable.
MANUAL_SETUP = """
export DEBIAN_FRONTEND=noninteractive UV_SYSTEM_CERTS=true UV_PYTHON_DOWNLOADS=never
export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
mkdir -p /srv/app
tar x -C /srv/app
apt-get -qq update
apt-get -qq install --no-install-recommends nginx nftables python3-pip-whl >/dev/null
cd /srv/app
python3 -m venv --without-pip venv
venv/bin/python "$(echo /usr/share/python-wheels/pip-*.whl)/pip" install --quiet --no-cache-dir \
    --require-hashes -r uv.txt
venv/bin/uv pip install --quiet --python venv/bin/python -r requirements.txt -r gunicorn.txt
venv/bin/gunicorn --daemon --bind unix:/srv/app/socket rocket:app
cat > /etc/nginx/sites-available/default <<'END'
server {
    listen 80 default_server;
    location / { proxy_pass http://unix:/srv/app/socket; proxy_set_header Host $host; }
}
END
systemctl restart nginx
"""
LIMIT_SECONDS = 60


def measure(runs: int) -> None:
    """Times both boots ``runs`` times, in turn. In the results, the key "by hand" is the manual set-up."""
    image.ensure()
    with_up, manual = Times(), Times()
    with stacks.stack("boot") as stack:
        stacks.write_release(stack, 0)
        for _ in range(runs):
            stack.destroy()
            with_up.time(lambda: (stack.up(), stacks.require_page(stack, 0)))
            _time_manual_boot(manual)
    results.save("boot", {"up": with_up, "by hand": manual})


def _time_manual_boot(times: Times) -> None:
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as folder:
        key = create_ssh_key(Path(folder) / "id")
        with LocalMachines.temporary(key) as machines:
            times.time(lambda: _boot_manually(machines, Path(folder)))


def _boot_manually(machines: LocalMachines, folder: Path) -> None:
    spec = machines.create()
    machines.ssh(spec, "cloud-init status --wait >/dev/null || true")
    machines.send(spec, _app_tarball(folder), f"sudo sh -euc {shlex.quote(MANUAL_SETUP)}")
    deadline = time.monotonic() + LIMIT_SECONDS
    while get(f"http://{spec.address}/").status != 200:
        if time.monotonic() > deadline:
            raise SystemExit(f"the manual set-up doesn't serve the app after {LIMIT_SECONDS} s")
        time.sleep(0.05)


def _app_tarball(folder: Path) -> bytes:
    """The app and all its locked requirements."""
    for name in ("uv.txt", "gunicorn.txt"):
        (folder / name).write_text(text(f"first-boot/{name}"))
    app = [ROOT / "examples/rocket" / name for name in ("rocket.py", "requirements.txt")]
    words = ["tar", "c", "-C", str(folder), "uv.txt", "gunicorn.txt", "-C", str(app[0].parent), *(f.name for f in app)]
    return subprocess.run(words, capture_output=True, check=True).stdout
