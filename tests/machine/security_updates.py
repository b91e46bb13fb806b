"""A newer version of a Debian package on a server, as the security archive has it after a fix."""

from __future__ import annotations

from tests.machine.booted_server import BootedServer

# Installs the programs of an update from Debian's archive. Afterwards the server has only an archive with a newer
# version of the package $1: unattended-upgrades reads that within a second.
NEWER_PACKAGE = """
set -eu
apt-get -qq update
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends --yes unattended-upgrades needrestart
rm /usr/sbin/policy-rc.d
mkdir /srv/security && chown _apt /srv/security && cd /srv/security
apt-get -qq download "$1"
dpkg-deb -R "$1"_*.deb tree && rm "$1"_*.deb
sed -i 's/^Version: .*/&+newer/' tree/DEBIAN/control
dpkg-deb -Znone --root-owner-group --build tree newer.deb && rm -r tree
{
    dpkg-deb --field newer.deb
    echo "Filename: ./newer.deb"
    echo "Size: $(stat -c %s newer.deb)"
    echo "SHA256: $(sha256sum newer.deb | cut -d' ' -f1)"
} > Packages
. /etc/os-release
cat > Release <<END
Origin: Debian
Label: Debian-Security
Codename: $VERSION_CODENAME-security
Date: $(date -Ru | sed 's/+0000/UTC/')
SHA256:
 $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) Packages
END
rm -r /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/security ./' > /etc/apt/sources.list.d/security.list
"""


def offer(server: BootedServer, package: str) -> None:
    """Let the server's only archive have a newer version of an installed package."""
    server.send(NEWER_PACKAGE.encode(), f"sudo sh -s {package}")
