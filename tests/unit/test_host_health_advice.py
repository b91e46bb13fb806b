"""What a failed health check means: sentences with the setting to change."""

from __future__ import annotations

import pytest

from host import health_advice
from host.health_check import Answer, HealthCheck, excerpt

CHECK = HealthCheck("/", "localhost")
WITH_DOMAIN = HealthCheck("/", "shop.example")
HTTPS = HealthCheck("/", "shop.example", scheme="https")
ONLY_204 = HealthCheck("/", "localhost", status=204)


def test_the_reason_names_the_request_its_host_and_the_answer():
    assert health_advice.reason("the new release", CHECK, Answer(404, "Not Found")) == (
        "the new release isn't healthy: GET / answered 404 (Not Found), not 2xx or 3xx (Host: localhost)"
    )
    moved = Answer(301, location="https://shop.example/")
    assert "GET / answered 301 to https://shop.example/, not 204" in health_advice.reason("the site", ONLY_204, moved)


@pytest.mark.parametrize(
    ("check", "answer", "sentences"),
    [
        (CHECK, Answer(400), ["ALLOWED_HOSTS", "Host: localhost, because", "`pulumi config set domain example.org`"]),
        (WITH_DOMAIN, Answer(400), ["Host: shop.example, the setting domain. Add this name to ALLOWED_HOSTS"]),
        (CHECK, Answer(404), ["no page at /", "`pulumi config set healthPath /healthz`", "SERVER_NAME", "set domain"]),
        (WITH_DOMAIN, Answer(404), ["Add this name to SERVER_NAME"]),
        (CHECK, Answer(401), ["a login at /", "set healthPath", "`pulumi config set healthStatus 401`"]),
        (
            CHECK,
            Answer(403),
            ["refuses the check at /: the page may need a login", "`pulumi config set healthStatus 403`"],
        ),
        (CHECK, Answer(405), ["/ doesn't answer GET requests", "set healthPath"]),
        (CHECK, Answer(418), ["answers 2xx or 3xx", "healthPath", "`pulumi config set healthStatus 418`"]),
        (CHECK, Answer(500), ["its last lines", "healthPath"]),
        (CHECK, Answer(503), ["`pulumi config set healthTimeout 60`"]),
        (HealthCheck("/", "a", timeout=500), Answer(503), ["`pulumi config set healthTimeout 600`"]),
        (ONLY_204, Answer(200), ["`pulumi config set healthStatus 200`", "`pulumi config rm healthStatus`"]),
        (CHECK, Answer(None, "nothing", fault="silent"), ["doesn't answer", "healthTimeout 60", "healthPath"]),
        (CHECK, Answer(None, "gone", fault="refused"), ["doesn't listen any more"]),
        (CHECK, Answer(None, "gone", fault="closed"), ["closed the connection"]),
        (CHECK, Answer(None, "gone", fault="no HTTP"), ["http-socket"]),
        (CHECK, Answer(None, "gone", fault="no Nginx"), ["systemctl status nginx"]),
    ],
)
def test_each_answer_has_its_own_sentence_with_the_setting(check: HealthCheck, answer: Answer, sentences: list[str]):
    advice = health_advice.advice(check, answer)
    assert advice.startswith("The check: healthPath /, healthStatus")
    for sentence in sentences:
        assert sentence in advice


@pytest.mark.parametrize(
    ("check", "answer", "sentence"),
    [
        (CHECK, Answer(301, location="https://localhost/"), "SECURE_SSL_REDIRECT = False"),
        (CHECK, Answer(302, location="https://localhost"), "force_https=False"),
        (WITH_DOMAIN, Answer(308, location="https://shop.example/"), "serves only HTTP"),
        (HealthCheck("/a?b=1", "a.b"), Answer(301, location="https://a.b/a?b=1"), "serves only HTTP"),
        (WITH_DOMAIN, Answer(301, location="http://www.shop.example/"), "PREPEND_WWW"),
        (HTTPS, Answer(301, location="https://www.shop.example/"), "PREPEND_WWW"),
        (HTTPS, Answer(301, location="https://shop.example/"), "SECURE_PROXY_SSL_HEADER"),
        (CHECK, Answer(302, location="/"), "redirects to itself"),
    ],
)
def test_a_redirect_that_no_visitor_could_follow_is_refused(check: HealthCheck, answer: Answer, sentence: str):
    assert sentence in health_advice.unreachable(check, answer)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (CHECK, Answer(200)),
        (CHECK, Answer(304)),
        (CHECK, Answer(302, location="/login/")),
        (CHECK, Answer(302, location="/?next=1")),
        (CHECK, Answer(302, location="/", sets_cookie=True)),
        (CHECK, Answer(302, location="https://login.example/oauth?client=1")),
        (CHECK, Answer(302, location="https://docs.example/")),
        (CHECK, Answer(301, location="http://www.shop.example/")),
        (HTTPS, Answer(302, location="https://shop.example/login/")),
        (CHECK, Answer(201, location="/")),
    ],
)
def test_other_redirects_are_accepted(check: HealthCheck, answer: Answer):
    assert health_advice.unreachable(check, answer) == ""


def test_a_redirect_to_another_host_is_remarked_on_if_the_domain_is_empty():
    moved = Answer(301, location="https://www.shop.example/")
    assert "`pulumi config set domain shop.example`" in health_advice.remark(CHECK, moved)
    assert health_advice.remark(WITH_DOMAIN, moved) == ""
    assert health_advice.remark(CHECK, Answer(302, location="/login/")) == ""
    assert health_advice.remark(CHECK, Answer(200)) == ""


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("upstream sent too big header while reading response header from upstream", "32 KB in all"),
        ("upstream prematurely closed connection while reading response header", "closed the connection"),
        ('upstream sent invalid header: "a b: c" while reading', "isn't valid HTTP"),
        ("upstream sent invalid chunked response while reading upstream", "isn't valid HTTP"),
        ('upstream sent duplicate header line: "Content-Length: 1"', "isn't valid HTTP"),
    ],
)
def test_nginxs_own_errors_have_sentences(line: str, sentence: str):
    assert sentence in health_advice.rejected(line)


@pytest.mark.parametrize(
    ("content_type", "body", "line"),
    [
        ("text/html; charset=utf-8", "<html><head><title>\n Bad &amp; <b>", ""),
        ("text/html", "<title>Bad Request (400)</title>", "Bad Request (400)"),
        ("text/html", "<h1>Bad Request&nbsp;(400)</h1>", "Bad Request (400)"),
        ("text/plain", "\nInvalid host header\nmore", "Invalid host header"),
        ("application/json", '{"detail":"Not Found"}', '{"detail":"Not Found"}'),
        ("application/problem+json", "{}", "{}"),
        ("image/png", "\x89PNG", ""),
        ("text/plain", "a\x1b[31mb" + "c" * 200, "a [31mb" + "c" * 93),
        ("text/plain", "", ""),
    ],
)
def test_an_excerpt_is_one_printable_line(content_type: str, body: str, line: str):
    assert excerpt(content_type, body) == line
