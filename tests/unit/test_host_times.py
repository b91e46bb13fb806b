"""Times that must fit each other."""

from __future__ import annotations

from host import times


def test_a_balancer_waits_longer_than_a_request_may_take_and_closes_its_connections_before_the_server_does():
    for socket_timeout in (times.REQUEST_SECONDS, times.MAX_SOCKET_SECONDS):
        idle = times.balancer_idle_seconds(socket_timeout)
        assert max(times.REQUEST_SECONDS, socket_timeout) < idle < times.SERVER_IDLE_SECONDS
    assert times.LOCAL_BALANCER_IDLE_SECONDS < times.SERVER_IDLE_SECONDS
    assert times.REQUEST_SECONDS < times.BALANCER_READ_SECONDS


def test_nginx_closes_its_connections_to_gunicorn_before_gunicorn_does():
    assert times.APP_IDLE_MILLISECONDS / 1000 < times.GUNICORN_KEEPALIVE_SECONDS
    assert (times.APP_IDLE_MILLISECONDS + times.APP_CONNECTION_MILLISECONDS) / 1000 < times.MOVED_SECONDS


def test_the_host_program_gives_up_before_systemd_does():
    assert times.GRACEFUL_SECONDS < times.WEB_STOP_SECONDS


def test_the_watch_reads_requests_that_nginx_has_written():
    assert times.LOG_FLUSH_MILLISECONDS / 1000 < times.WATCH_INTERVAL_SECONDS


def test_a_health_check_ends_before_the_next_one_begins():
    assert times.CHECK_TIMEOUT_SECONDS < times.CHECK_SECONDS
    assert times.SETTLE_SECONDS > times.CHECK_SECONDS * times.CHECKS
