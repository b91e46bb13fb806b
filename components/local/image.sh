#!/bin/sh
# Runs once inside a new base image: install the packages given, then make it boot fast and as nobody in particular.
set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive

# A machine here is as durable as its host's disk, and dpkg's fsync of each file is most of an install's time.
echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/90-unsafe-io
# No daemon may start in the chroot.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d

# The host's certificates first: the mirror may be reached through https.
update-ca-certificates
apt-get -q update
apt-get -qy dist-upgrade
apt-get -qy install --no-install-recommends "$@"
rm -f /usr/sbin/policy-rc.d
apt-get -q clean

# Tools with certificates of their own (uv, pip) are told to use the system's.
echo 'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' >> /etc/environment
mkdir -p /etc/systemd/system.conf.d
printf '[Manager]\nDefaultEnvironment=SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt\n' \
    > /etc/systemd/system.conf.d/certificates.conf

# The seed is the only data source, and the network is up before the first process starts.
printf 'datasource_list: [NoCloud, None]\nnetwork: {config: disabled}\n' > /etc/cloud/cloud.cfg.d/90-gantry.cfg
systemctl -q mask console-getty.service getty@.service systemd-networkd.service systemd-pstore.service \
    apt-daily.timer apt-daily-upgrade.timer fstrim.timer cloud-init-hotplugd.socket
systemctl -q set-default multi-user.target

# What would make two machines the same one.
rm -f /etc/ssh/ssh_host_* /etc/hostname /var/lib/dbus/machine-id /etc/resolv.conf
: > /etc/machine-id
