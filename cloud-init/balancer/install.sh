#!/bin/sh
# Makes a fresh Debian a balancer, once, at first boot: the folder of uploads, the firewall, the site.
set -eu

deploy=$1

install -d -m 0755 /var/lib/gantry
install -d -m 0755 -o "$deploy" -g "$deploy" /opt/gantry/incoming
ln -sfn ../sites-available/gantry /etc/nginx/sites-enabled/gantry
rm -f /etc/nginx/sites-enabled/default
systemctl enable --quiet gantry-host-key.timer nftables
systemctl start nftables
systemctl restart nginx
