#!/bin/sh
# Makes a fresh Debian an app server, once, at first boot: users, folders, Nginx, Gunicorn in a virtual environment.
set -eu

deploy=$1

# Nothing that a package brings is started before it is configured (and Nginx's would be started twice, for a second):
# https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
# Meanwhile uv is fetched. Another apt may be at work on a machine that has just booted; our settings are there already.
DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold \
    install --no-install-recommends --yes nginx nftables &
apt=$!

add_user() {
    id "$1" >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir "$2" --shell /usr/sbin/nologin "$1"
}

add_user app /var/lib/app
add_user gantry-build /var/cache/gantry
# Nginx connects to the app's socket, which is its group's.
usermod --append --groups app www-data

install -d -m 0755 /opt/gantry/releases /opt/gantry/instances /var/lib/gantry
install -d -m 0755 -o "$deploy" -g "$deploy" /opt/gantry/incoming
install -d -m 0755 -o gantry-build -g gantry-build /opt/gantry/venv /var/cache/gantry
# Only root makes the folders of virtual environments; the build user fills them.
install -d -m 0755 /opt/gantry/venvs
install -d -m 0700 /etc/gantry/environment
systemd-tmpfiles --create /etc/tmpfiles.d/gantry.conf

# Installing a package may run its code: not as root. Gunicorn's wheel stays in uv's cache, from which each app's own
# virtual environment gets it without asking a registry.
setpriv --reuid=gantry-build --regid=gantry-build --clear-groups /bin/sh -eu <<'END'
export HOME=/var/cache/gantry UV_CACHE_DIR=/var/cache/gantry/uv UV_PYTHON_DOWNLOADS=never
export UV_SYSTEM_CERTS=true PIP_DISABLE_PIP_VERSION_CHECK=1
cd /var/cache/gantry
python=/opt/gantry/venv/bin/python
python3 -m venv --without-pip /opt/gantry/venv
# The distribution's pip, run from its wheel: ensurepip would take seconds to install a second one.
pip=$(echo /usr/share/python-wheels/pip-*.whl)
"$python" "$pip/pip" install --quiet --no-cache-dir --require-hashes --requirement /opt/gantry/uv.txt
/opt/gantry/venv/bin/uv pip install --quiet --python "$python" --requirement /opt/gantry/gunicorn.txt
END

wait "$apt"
rm /usr/sbin/policy-rc.d
ln -sfn ../sites-available/gantry /etc/nginx/sites-enabled/gantry
rm -f /etc/nginx/sites-enabled/default
systemctl enable --quiet gantry-host-key.timer nftables
systemctl start nftables
systemctl restart nginx
