"""Ways to break one layer of a server by hand, and what `gantry check` then reports."""

from __future__ import annotations

import json
import subprocess

from tests.machine.page_app import PageAppServer
from tools.setup import site_check

# The command that breaks a layer, the layer, and the report's text. {} stands for the deployment.
REPAIRABLE = [
    ("systemctl stop nginx", "Nginx", "nginx.service is inactive"),
    ("systemctl mask --now nginx", "Nginx", "nginx.service is masked"),
    (
        "sh -c 'echo \"wrong;\" >> /etc/nginx/sites-available/gantry && systemctl stop nginx'",
        "Nginx",
        "/sites-enabled/gantry:",
    ),
    ("rm /etc/nginx/sites-enabled/gantry && sudo systemctl restart nginx", "Nginx", "nothing listens on port 80"),
    ("rm /var/lib/gantry/web.sock", "socket", "web.sock is missing"),
    ("rm /run/gantry/{}.sock", "socket", "doesn't accept connections"),
    ("systemctl stop gantry-web@{}", "Gunicorn", "gantry-web@{}.service is inactive"),
    ("systemctl stop gantry-firewall && sudo nft flush ruleset", "firewall", "somebody has flushed or changed them"),
    (
        "sh -c 'systemctl stop gantry-firewall && echo \"wrong;\" >> /etc/nftables.conf'",
        "firewall",
        "/etc/nftables.conf can't be loaded",
    ),
]


def broken_layers(server: PageAppServer) -> list[tuple[str, str]]:
    """The broken layers that `gantry check` reports, with their problems."""
    findings: list[dict[str, str]] = json.loads(server.ssh("sudo gantry check --json", check=False))
    return [(finding["layer"], finding["text"]) for finding in findings if finding["state"] == "broken"]


def repair(server: PageAppServer) -> site_check.Verdict:
    """Run the command that `make up` runs on a server if the site doesn't answer."""
    command = server.ssh_command(" ".join(site_check.CHECK))
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return site_check.verdict(result.returncode, result.stdout, result.stderr)
