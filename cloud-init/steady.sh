#!/bin/sh
# ExecStopPost of units that systemd restarts with growing pauses: UNIT SECONDS. After a run of at least so many seconds, the
# pauses begin again with the shortest one. systemd itself never forgets the earlier restarts.
entered=0 exited=0 started=0
properties=$(systemctl show "$1" --property=ActiveEnterTimestampMonotonic \
    --property=ActiveExitTimestampMonotonic --property=ExecMainStartTimestampMonotonic)
while IFS='=' read -r name microseconds; do
    case $name in
        ActiveEnterTimestampMonotonic) entered=$microseconds ;;
        ActiveExitTimestampMonotonic) exited=$microseconds ;;
        ExecMainStartTimestampMonotonic) started=$microseconds ;;
    esac
done <<END
$properties
END
# A process that ended while it started was never active. The times of an earlier run must not count for it.
if [ "$entered" -ge "$started" ] && [ $((exited - entered)) -ge $(($2 * 1000000)) ]; then
    systemctl reset-failed "$1"
fi
exit 0
