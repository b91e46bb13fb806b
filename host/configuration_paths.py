"""The paths of a server's configuration: files that `gantry configure` writes, and those that it changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Below:
    """A path below the root of ``ConfigurationPaths``, or of ``host.paths.Paths``."""

    path: str

    def __get__(self, paths: ConfigurationPaths, owner: type[ConfigurationPaths]) -> Path:
        return paths.root / self.path


@dataclass(frozen=True)
class ConfigurationPaths:
    """The part of ``host.paths.Paths`` for configuration below ``root``, which is ``/`` on a real server."""

    root: Path = Path("/")

    gunicorn_settings = Below("etc/gantry/gunicorn.conf.py")
    """Gunicorn's settings for the next deployment. Each deployment has its own copy."""

    apt_packages = Below("etc/gantry/apt-packages")
    """The Debian packages of the setting aptPackages, one a line."""

    health_settings = Below("etc/gantry/health.json")
    """What `gantry check` asks the app: path, host, status and scheme of the health check, in JSON."""

    python_mirror = Below("etc/gantry/python-mirror")
    """The setting pythonMirror: the URL where uv finds versions of Python; empty for its default."""

    service_policy = Below("usr/sbin/policy-rc.d")
    """Debian's script that decides whether a package may start its services. It exists only while apt runs."""

    units = Below("etc/systemd/system")
    """systemd's units. ``host.systemd`` defines their names."""

    journal_settings = Below("etc/systemd/journald.conf.d/gantry.conf")
    """How large the journal may be, and how long it keeps lines."""

    site = Below("etc/nginx/sites-available/gantry")
    """Nginx's site: the placeholder of the first boot, and later the app's."""

    nginx_main = Below("etc/nginx/nginx.conf")
    """Nginx's main file, of Debian."""

    nginx_open_files = Below("etc/nginx/modules-enabled/90-gantry.conf")
    """How many files Nginx may open. Debian's main file includes this folder outside of its blocks."""

    nginx_process = Below("etc/nginx/modules-enabled/91-gantry.conf")
    """How long a worker that was replaced may serve its last connections. Debian's main file includes it, too."""

    nginx_limits = Below("etc/gantry/nginx-limits.conf")
    """The limits of uploads, which are computed on the server. The site includes them."""

    https_listener = Below("etc/gantry/https.conf")
    """The part of the site that serves HTTPS: empty until there is a certificate."""

    pages = Below("usr/local/share/gantry/pages")
    """The pages for Nginx's own answers: an HTML and a JSON file for each."""

    nginx_bodies = Below("var/lib/nginx/body")
    """Where Nginx keeps a request's body until the app gets it."""

    apt_settings = Below("etc/apt/apt.conf.d/60gantry")
    """Tells apt that upgrades keep changed files."""

    update_settings = Below("etc/gantry/updates.json")
    """When this server updates itself, and whether it may reboot, in JSON: ``host.update_window`` reads it."""

    apt_updates = Below("etc/apt/apt.conf.d/61gantry-updates")
    """Tells unattended-upgrades what it may install, and stops Debian's own timers for it."""

    needrestart_settings = Below("etc/needrestart/conf.d/gantry.conf")
    """Tells needrestart which units it must not restart."""

    site_link = Below("etc/nginx/sites-enabled/gantry")
    """The symbolic link that enables ``site``."""

    firewall = Below("etc/nftables.conf")
    """The firewall's rules. They include every file in ``firewall_rules``."""

    firewall_rules = Below("etc/gantry/firewall")
    """Rules that depend on the balancer; the firewall reads them in the order of their names."""

    admitted_rules = Below("etc/gantry/firewall/admitted.nft")
    """Rules that admit the balancer's addresses; empty on a server without a balancer."""

    unlimited_rules = Below("etc/gantry/unlimited.nft")
    """Rules that admit any number of connections of the balancer and of trusted proxies. The firewall includes it."""

    closed_rule = Below("etc/gantry/firewall/closed.nft")
    """The rule that rejects requests that don't come from the balancer; empty on a server without a balancer."""
