#!/bin/sh
exec /usr/bin/python3 -I /opt/gantry/host.pyz "$@"
