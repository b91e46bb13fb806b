#!/bin/sh
# Replaces the host key that came with the user-data by one that was made here.
#
#   rotate   make the own key, serve it, print its public half
#   swap     serve the other of the two (a timer does, once a minute, until the own key is confirmed)
#   confirm  forget the first key
#
# Until somebody has come in over a connection that was checked against the own key, it isn't certain that the answer of
# "rotate" ever arrived. So the two take turns until then: whoever knows one of them gets in within a minute.
set -eu

keys=/etc/gantry/host-keys
live=/etc/ssh/ssh_host_ed25519_key

# The timer and a login may come at once.
exec 9>/run/gantry-host-key.lock
flock 9

serve() {
    install -m 0600 "$keys/$1" "$live.new"
    mv "$live.new" "$live"
    install -m 0644 "$keys/$1.pub" "$live.pub"
    systemctl reload ssh
}

case ${1-} in
rotate)
    if [ ! -e "$keys/own.pub" ]; then
        install -d -m 0700 "$keys"
        cp "$live" "$keys/first"
        cp "$live.pub" "$keys/first.pub"
        rm -f "$keys/own"
        ssh-keygen -q -t ed25519 -N '' -C "$(hostname)" -f "$keys/own"
    fi
    if [ -e "$keys/first" ]; then
        systemctl start gantry-host-key.timer
    fi
    serve own
    cat "$keys/own.pub"
    ;;
swap)
    if [ -e "$keys/first" ] && cmp -s "$keys/own" "$live"; then serve first; else serve own; fi
    ;;
confirm)
    # In this order a cut at any point leaves the own key served, or a timer that will serve it.
    rm -f "$keys/first" "$keys/first.pub"
    cmp -s "$keys/own" "$live" || serve own
    systemctl stop gantry-host-key.timer
    ;;
*)
    echo "usage: host-key rotate|swap|confirm" >&2
    exit 2
    ;;
esac
