#!/bin/sh
# Runs one machine: `sh supervise.sh FOLDER`. The script becomes the first process of new namespaces. When it ends, even
# when it is killed, the kernel ends all processes of the namespaces and removes their mounts and links.
# machine.env is written before each boot. It sets ID, IMAGE, VETH, BRIDGE, ADDRESS, HARDWARE_ADDRESS, GATEWAY, CGROUPS
# and ARGUMENTS.
set -eu
cd "$1"
# shellcheck source=/dev/null
. ./machine.env

# If systemd started this script, the machine gets a part of the unit's control group.
if [ -z "$CGROUPS" ] && [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    CGROUPS=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
    CGROUPS=${CGROUPS%/keeper}
fi

if [ "${2-}" != inside ]; then
    # The 22nd field is the start time of the process. It tells this process from a later one with the same number.
    echo "$$ $(cut -d ' ' -f 22 /proc/$$/stat) $(cat /proc/sys/kernel/random/boot_id)" > process.new
    mv process.new process
    # A group can pass controllers to its children only while no process is in the group itself.
    for cgroup in $CGROUPS; do
        mkdir -p "$cgroup/keeper" "$cgroup/machine"
        echo 0 > "$cgroup/keeper/cgroup.procs"
        # shellcheck disable=SC2013  # The controllers are words of one line.
        for controller in $(cat "$cgroup/cgroup.controllers" 2> /dev/null); do
            echo "+$controller" > "$cgroup/cgroup.subtree_control" || true
        done
    done
    exec 9< /proc/self/ns/net
    exec unshare --mount --propagation private --net --pid --fork --kill-child --mount-proc \
        sh ./supervise.sh . inside
fi

in_host_network() {
    nsenter --net=/proc/self/fd/9 "$@"
}

if [ -n "$IMAGE" ]; then
    mount -t overlay "$ID" -o "lowerdir=$IMAGE,upperdir=disk,workdir=work" root
    root=root
else
    root=disk
fi
# systemd-nspawn leaves folders in /run. With a mount of its own they end with the machine.
mount -t tmpfs -o mode=755 "$ID" /run

ip link set lo up
in_host_network ip link add "$VETH" type veth peer name eth0 netns 1
in_host_network ip link set "$VETH" master "$BRIDGE" up
ip address add "$ADDRESS" dev eth0
ip link set eth0 address "$HARDWARE_ADDRESS" up
ip route add default via "$GATEWAY"
exec 9<&-

boot() (
    for cgroup in $CGROUPS; do
        echo 0 > "$cgroup/machine/cgroup.procs"
    done
    # shellcheck disable=SC2086  # The arguments are several words.
    SYSTEMD_NSPAWN_API_VFS_WRITABLE=network exec systemd-nspawn --directory="$root" $ARGUMENTS < /dev/null
)

# systemd-nspawn exits with 133 when the machine wants to reboot.
status=133
while [ "$status" -eq 133 ]; do
    status=0
    boot || status=$?
done
exit "$status"
