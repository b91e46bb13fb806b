#!/bin/sh
# The first contact: waits until the first boot is over, then hands out the host key that was made here.
# Prints the key on standard output and everything else on standard error.
set -eu

# cloud-init's last file; its own `status --wait` tells of it half a second later, but also of what will never end.
result=/run/cloud-init/result.json
for _ in $(seq 3000); do
    [ ! -e "$result" ] || break
    sleep 0.1
done
[ -e "$result" ] || cloud-init status --wait >/dev/null 2>&1 || true

no_errors() {
    python3 -ISc 'import json, sys; sys.exit(bool(json.load(open(sys.argv[1]))["v1"]["errors"]))' "$result"
}

# What is recoverable, such as a deprecated key, isn't among the errors: what counts is whether the server is there.
if ! no_errors || [ ! -e /etc/nginx/sites-enabled/gantry ]; then
    {
        echo "the first boot failed; the end of its log, /var/log/cloud-init-output.log:"
        tail -n 30 /var/log/cloud-init-output.log
    } >&2
    exit 1
fi
/usr/local/lib/gantry/host-key rotate
