#!/bin/sh
# The first contact: waits until the first boot is over, then hands out the host key that was made here.
# Prints the key on standard output and everything else on standard error.
set -eu

code=0
cloud-init status --wait >/dev/null 2>&1 || code=$?
# 2 is "done, with recoverable errors", a deprecated key for one: what counts is whether the server is there.
if [ "$code" -eq 1 ] || [ ! -e /etc/nginx/sites-enabled/gantry ]; then
    {
        echo "the first boot failed; the end of its log, /var/log/cloud-init-output.log:"
        tail -n 30 /var/log/cloud-init-output.log
    } >&2
    exit 1
fi
/usr/local/lib/gantry/host-key rotate
