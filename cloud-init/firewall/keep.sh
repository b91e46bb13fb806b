#!/bin/bash
# The firewall's rules are those of /etc/nftables.conf: this compares them, and restores them.
#
#   compare  exit status 0 if the kernel has the file's rules, 1 if not, 2 if the file has an error
#   keep     restores the rules whenever somebody has changed them, without an end
set -u

file=/etc/nftables.conf
# Elements of sets and counters change with the traffic, so they aren't compared.
list="nft --stateless --terse list"

# The file's rules in the form in which the kernel lists them: loaded where there is no traffic.
expected() {
    unshare --net /bin/sh -c "nft --file $file && $list ruleset"
}

compare() {
    local rules family name
    rules=$(expected) || return 2
    while read -r family name; do
        # shellcheck disable=SC2086  # the words of a command
        $list table "$family" "$name" 2>/dev/null || true
    done < <(sed -n 's/^table \(.*\) {$/\1/p' <<<"$rules") | cmp --silent - <(cat <<<"$rules")
}

restore_if_changed() {
    compare
    case $? in
    1)
        if nft --file $file; then
            echo "the rules differed from those of $file, which were loaded again"
        fi
        ;;
    2) echo "$file has an error, so the rules can't be restored: run gantry check --repair" >&2 ;;
    esac
}

keep() {
    local _ status
    while :; do
        restore_if_changed
        # An event between the comparison and the start of `nft monitor` is found after a minute at the latest.
        read -r -t 60 _
        status=$?
        # 1 means that `nft monitor` has ended. systemd starts this program again.
        [ "$status" -ne 1 ] || exit 1
        # A change of many rules is many events.
        for _ in {1..1000}; do
            read -r -t 0.05 _ || break
        done
    done < <(exec nft monitor ruleset)
}

case ${1-} in
compare) compare ;;
keep) keep ;;
*)
    echo "usage: firewall compare|keep" >&2
    exit 2
    ;;
esac
