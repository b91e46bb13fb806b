"""Times that must fit each other, defined once for this program, for `components/` and for the templates.

A constant whose value depends on another is computed from it. Values are in seconds unless the name says otherwise.
"""

from __future__ import annotations

# --- In-flight requests of a deployment that is drained or stopped.

# The default of the setting drainTimeout, and the longest. After this time, a web process with open connections is told
# to stop. The longest fits into a slot for updates. A rollback to a release that is being drained waits for the end.
DRAIN_SECONDS = 30
MAX_DRAIN_SECONDS = 300
# A web process that was told to stop gets at least this time. A reboot for an update waits as long for connections.
GRACEFUL_SECONDS = 30


def graceful_seconds(request_timeout: int, drain_timeout: int) -> int:
    """Gunicorn's graceful_timeout: after the drain, a request has what is left of its time."""
    return max(GRACEFUL_SECONDS, request_timeout - drain_timeout)


def web_stop_seconds(request_timeout: int, drain_timeout: int) -> int:
    """TimeoutStopSec: systemd ends the drain after this time, and kills a web process that was told to stop.

    Both need some seconds more than the requests that they wait for.
    """
    return max(drain_timeout, graceful_seconds(request_timeout, drain_timeout)) + 10


def ending_seconds(request_timeout: int, drain_timeout: int) -> int:
    """The longest time from the switch to the end of the old web process. Only then the same deployment can start."""
    return drain_timeout + web_stop_seconds(request_timeout, drain_timeout)


def removal_seconds(request_timeout: int, drain_timeout: int) -> int:
    """How long a server that is removed from a cloud's balancer finishes requests, before it is deleted.

    SETTLE_SECONDS come before, and the shutdown after it. So a request has nearly all of its time.
    """
    return max(drain_timeout, request_timeout - 30)


# How long an old worker of Nginx may still serve a download or a WebSocket (worker_shutdown_timeout).
NGINX_SHUTDOWN_SECONDS = 3600

# --- The start of a web process.

# The longest setting startTimeout. systemd ends a start that takes longer than the setting (TimeoutStartSec).
MAX_START_SECONDS = 3600
# The same for the commands build and release in the Procfile: the longest releaseTimeout.
MAX_COMMAND_SECONDS = 86400

# --- Restarts of a process that has ended.

# systemd's pause before a restart (RestartSec) grows with each restart up to the longest (RestartMaxDelaySec).
RESTART_SECONDS = 0.2
LONGEST_RESTART_SECONDS = 30
# The pause has grown to the longest after this many restarts (RestartSteps).
RESTART_STEPS = 8
# After this many seconds without an end, the pauses begin again with the shortest one.
STEADY_SECONDS = 60

# --- How long a request may take.

# The default of the setting requestTimeout, and of Nginx's proxy_read_timeout: Nginx answers with 504 after this time.
REQUEST_SECONDS = 60
# Gunicorn kills a worker that hangs for as long, one or two seconds later. So the visitor gets the 504, and both logs
# name the cause. It isn't shorter than Gunicorn's default: a worker may import the app, or wait for a busy processor.
LEAST_WORKER_SECONDS = 30


def worker_seconds(request_timeout: int) -> int:
    """Gunicorn's timeout."""
    return max(LEAST_WORKER_SECONDS, request_timeout)


def balancer_read_seconds(request_timeout: int) -> int:
    """The local balancer waits longer than the server, so that the server's own error reaches the visitor."""
    return request_timeout + 15


# Nginx ends a request whose header takes longer, or whose body pauses for longer.
HEADER_SECONDS = 10
BODY_SECONDS = 15
# A visitor may send as many requests at once as the setting requestsPerSecond allows in this time.
BURST_SECONDS = 10

# --- Connections that are kept open between two requests. The side that sends requests must close first, because a
# --- request that meets a closing connection fails.

# Nginx to the app (keepalive_timeout, keepalive_time). A stopping Gunicorn keeps idle connections for 2 s.
APP_IDLE_MILLISECONDS = 50
APP_CONNECTION_MILLISECONDS = 100
# After a switch, Nginx may use a connection to the old deployment for both times together. 50 ms more allow for a busy
# server.
MOVED_SECONDS = (APP_IDLE_MILLISECONDS + APP_CONNECTION_MILLISECONDS + 50) / 1000
# Gunicorn's keepalive: far longer than Nginx keeps its connections to the app.
GUNICORN_KEEPALIVE_SECONDS = 75
# The longest settings socketTimeout and requestTimeout. The balancers of DigitalOcean wait from 30 to 600 s.
MAX_SOCKET_SECONDS = 590
LEAST_BALANCER_IDLE_SECONDS = 30
# Nginx's keepalive_timeout on a server behind a balancer. The balancer must close its idle connections earlier.
SERVER_IDLE_SECONDS = MAX_SOCKET_SECONDS + 20


def balancer_idle_seconds(request_timeout: int, socket_timeout: int) -> int:
    """The idle timeout of a cloud's balancer: more than a request may take, and more than a WebSocket may be silent."""
    return max(LEAST_BALANCER_IDLE_SECONDS, max(request_timeout, socket_timeout) + 5)


# The local target's balancer to its servers (keepalive_timeout, keepalive_time). A server that is removed from the
# list gets no request after the second time.
LOCAL_BALANCER_IDLE_SECONDS = 1
LOCAL_BALANCER_CONNECTION_SECONDS = 3

# --- The watch of a new release.

# Seconds between two looks at the release, unless the settings have an interval of their own.
WATCH_INTERVAL_SECONDS = 0.5
# Nginx writes its access log after this time at the latest (flush), so that the next look finds the requests.
LOG_FLUSH_MILLISECONDS = 200

# --- Health checks of a balancer.

CHECK_SECONDS = 5
# This many equal results in a row make a server healthy or unhealthy.
CHECKS = 2
# A check without an answer after this time has failed. The next check must not begin before that.
CHECK_TIMEOUT_SECONDS = CHECK_SECONDS - 2
# After this time, a balancer has noticed that a server's health changed, and has moved the traffic.
SETTLE_SECONDS = CHECK_SECONDS * CHECKS + 5
# Limit for the first check of a server: a new balancer takes minutes until it works.
FIRST_CHECK_SECONDS = 300
