"""Times that must fit each other."""

from __future__ import annotations

import pytest

from host import times


def test_a_balancer_waits_longer_than_a_request_may_take_and_closes_its_connections_before_the_server_does():
    for request_timeout in (1, times.REQUEST_SECONDS, times.MAX_SOCKET_SECONDS):
        for socket_timeout in (request_timeout, times.MAX_SOCKET_SECONDS):
            idle = times.balancer_idle_seconds(request_timeout, socket_timeout)
            assert max(request_timeout, socket_timeout) < idle < times.SERVER_IDLE_SECONDS
        assert request_timeout < times.balancer_read_seconds(request_timeout)
    assert times.LOCAL_BALANCER_IDLE_SECONDS < times.SERVER_IDLE_SECONDS


def test_nginx_closes_its_connections_to_gunicorn_before_gunicorn_does():
    assert times.APP_IDLE_MILLISECONDS / 1000 < times.GUNICORN_KEEPALIVE_SECONDS
    assert (times.APP_IDLE_MILLISECONDS + times.APP_CONNECTION_MILLISECONDS) / 1000 < times.MOVED_SECONDS


@pytest.mark.parametrize("request_timeout", [1, 60, 300, times.MAX_SOCKET_SECONDS])
@pytest.mark.parametrize("drain_timeout", [1, times.DRAIN_SECONDS, times.MAX_DRAIN_SECONDS])
def test_a_request_has_all_of_its_time_over_a_release_and_systemd_kills_later(request_timeout: int, drain_timeout: int):
    graceful = times.graceful_seconds(request_timeout, drain_timeout)
    assert drain_timeout + graceful >= request_timeout
    assert times.web_stop_seconds(request_timeout, drain_timeout) > max(drain_timeout, graceful)
    removal = times.removal_seconds(request_timeout, drain_timeout)
    assert removal >= drain_timeout
    assert times.SETTLE_SECONDS + removal >= request_timeout - 15


def test_the_watch_reads_requests_that_nginx_has_written():
    assert times.LOG_FLUSH_MILLISECONDS / 1000 < times.WATCH_INTERVAL_SECONDS


def test_a_health_check_ends_before_the_next_one_begins():
    assert times.CHECK_TIMEOUT_SECONDS < times.CHECK_SECONDS
    assert times.SETTLE_SECONDS > times.CHECK_SECONDS * times.CHECKS
