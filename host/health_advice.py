"""What a failed health check means, and which setting or line to change. Pure functions."""

from __future__ import annotations

from urllib.parse import urlsplit

from host import times
from host.health_check import DEFAULT_HOST, Answer, HealthCheck

REDIRECTS = (301, 302, 303, 307, 308)
_LONGEST_TIMEOUT = 600
_PATH = "`pulumi config set healthPath /healthz`"


def reason(subject: str, check: HealthCheck, answer: Answer) -> str:
    """The line that says which check failed with which answer. ``subject`` was asked."""
    return f"{subject} isn't healthy: GET {check.path} answered {answer}, not {check.expected} (Host: {check.host})"


def advice(check: HealthCheck, answer: Answer) -> str:
    """The sentences that say what to change, one per line. The first one has the settings of the check."""
    settings = f"The check: healthPath {check.path}, healthStatus {check.expected}, healthTimeout {check.timeout:g} s."
    sentences = _about_status(check, answer) if answer.status else [_about_fault(check, answer)]
    return "\n".join([settings, *sentences])


def unreachable(check: HealthCheck, answer: Answer) -> str:
    """Why visitors couldn't reach the site although the answer's status is healthy, with the remedy; or ""."""
    if answer.status not in REDIRECTS or not answer.location:
        return ""
    target = urlsplit(answer.location)
    if (target.path or "/", target.query) != _path_and_query(check.path):
        return ""
    if check.host != DEFAULT_HOST and target.hostname == f"www.{check.host}":
        return (
            f"Visitors couldn't reach this site: the app redirects to www.{check.host}, and Nginx redirects that to"
            f" {check.host}. Turn the app's redirect off, such as PREPEND_WWW in Django."
        )
    if target.hostname not in (None, check.host):
        return ""
    if check.scheme == "http" and target.scheme == "https":
        return (
            "Visitors couldn't reach this site: the app redirects to https, and this site serves only HTTP. Turn the"
            " redirect off until the site has HTTPS: SECURE_SSL_REDIRECT = False in Django, force_https=False in"
            " Flask-Talisman, no HTTPSRedirectMiddleware in FastAPI. A balancer in a cloud has HTTPS with the setting"
            " zone."
        )
    if target.scheme in ("", check.scheme) and not answer.sets_cookie:
        return (
            f"Visitors couldn't reach this site: GET {check.path} redirects to itself. If it should redirect to https,"
            " let the app trust X-Forwarded-Proto: SECURE_PROXY_SSL_HEADER in Django, ProxyFix in Flask."
        )
    return ""


def remark(check: HealthCheck, answer: Answer) -> str:
    """What is worth a line although the check succeeded, or ""."""
    host = urlsplit(answer.location).hostname
    if not host or host == check.host or check.host != DEFAULT_HOST:
        return ""
    return (
        f"note: GET {check.path} redirects to {host}. If that is this site's own name, set it:"
        f" `pulumi config set domain {host.removeprefix('www.')}`"
    )


def slow_start(seconds: float) -> str:
    """What to do about an app that didn't listen within ``seconds`` after its start."""
    return (
        "If the app needs more time before it listens, such as for loading a model, give it more:"
        f" `pulumi config set startTimeout {_more(seconds, times.MAX_START_SECONDS)}`. A web server other than Gunicorn"
        " must listen on $PORT or on the Unix socket that $GANTRY_SOCKET names."
    )


def slow_command(seconds: float) -> str:
    """What to do about a command of the Procfile that was stopped after ``seconds``."""
    return (
        "If the command needs more time, give it more:"
        f" `pulumi config set releaseTimeout {_more(seconds, times.MAX_COMMAND_SECONDS)}`. If it waits for an answer or"
        " never ends, such as a server, change it in the Procfile."
    )


def rejected(line: str) -> str:
    """What to do about an answer that Nginx didn't pass on. ``line`` is Nginx's message."""
    if "too big header" in line:
        return (
            "The headers of a response may have 32 KB in all. Make the app's cookies, redirects and policies"
            " (Content-Security-Policy, Link) shorter."
        )
    if "prematurely closed" in line or "reset by peer" in line:
        return "The app closed the connection before it had answered: its last lines may say why."
    if "header" in line or "Content-Length" in line or "Transfer-Encoding" in line:
        return "The app's response isn't valid HTTP, so no visitor would get it: correct the header in the app."
    if "invalid" in line:
        return "The app's response isn't valid HTTP, so no visitor would get it: correct it in the app."
    return ""


def _about_status(check: HealthCheck, answer: Answer) -> list[str]:
    status = answer.status or 0
    accept = f"`pulumi config set healthStatus {status}`"
    if status == 400:
        return [
            "Frameworks answer 400 to a host name that they don't allow, such as Django with ALLOWED_HOSTS."
            f" {_host(check, 'ALLOWED_HOSTS (in Flask TRUSTED_HOSTS, in FastAPI TrustedHostMiddleware)')}"
        ]
    if status == 404:
        return [
            f"The app has no page at {check.path}: choose a path that it answers: {_PATH}",
            "If it has this page, it answers only for other host names, such as Flask with SERVER_NAME."
            f" {_host(check, 'SERVER_NAME')}",
        ]
    if status == 401:
        return [f"The app asks for a login at {check.path}. Choose a path without one: {_PATH}; or accept it: {accept}"]
    if status == 403:
        return [
            f"The app refuses the check at {check.path}: the page may need a login, or be only for some addresses or"
            f" hosts. Choose a path that everybody may read: {_PATH}; or accept it: {accept}"
        ]
    if status == 405:
        return [f"{check.path} doesn't answer GET requests. Choose a path that does: {_PATH}"]
    if status in (502, 503, 504):
        more = f"`pulumi config set healthTimeout {_more(check.timeout, _LONGEST_TIMEOUT)}`"
        return [
            f"The app isn't ready yet. If it needs more time, give it more: {more}; or choose another path: {_PATH}"
        ]
    if status >= 500:
        return [
            "The app failed at this request, and its last lines may say why. If the page needs something that isn't"
            f" there yet, choose a path that doesn't: {_PATH}"
        ]
    if status >= 400:
        return [f"Choose a path that answers {check.expected}: {_PATH}; or accept this answer: {accept}"]
    return [
        f"Accept this answer: {accept}; or any 2xx or 3xx: `pulumi config rm healthStatus`; or choose another path:"
        f" {_PATH}"
    ]


def _host(check: HealthCheck, option: str) -> str:
    """The Host header that was sent, and what to do if the app doesn't know it."""
    if check.host != DEFAULT_HOST:
        return f"The check asked with Host: {check.host}, the setting domain. Add this name to {option} in the app."
    return (
        f"The check asked with Host: {check.host}, because the setting domain is empty. Set the name that the app"
        f" knows: `pulumi config set domain example.org`; or add {check.host} and the site's address to {option}."
    )


def _about_fault(check: HealthCheck, answer: Answer) -> str:
    more = f"`pulumi config set healthTimeout {_more(check.timeout, _LONGEST_TIMEOUT)}`"
    return {
        "silent": f"The app listens and doesn't answer: it may wait for a database or for a lock. If it needs more"
        f" time, give it more: {more}; or choose a path that needs less: {_PATH}",
        "refused": "The app doesn't listen any more: its last lines may say why.",
        "no Nginx": "Nginx doesn't listen. See its state on the server: sudo systemctl status nginx",
        "closed": "The app closed the connection without an answer: its last lines may say why.",
        "no HTTP": "The app doesn't answer in HTTP: let the web server speak HTTP without TLS, such as uWSGI with"
        " http-socket in place of socket.",
    }.get(answer.fault, "")


def _path_and_query(path: str) -> tuple[str, str]:
    parts = urlsplit(path)
    return parts.path or "/", parts.query


def _more(seconds: float, longest: int) -> int:
    """A longer time for a command: twice the present one, within the setting's limit."""
    return min(longest, max(1, round(2 * seconds)))
