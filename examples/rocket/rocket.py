"""A small Flask app: one page, a health check, and the address that Nginx passes on."""

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)
# Nginx is the only proxy before this app: trust its headers for the client's address and scheme.
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)


@app.route("/")
def hello():
    return "Hello World!\n"


@app.route("/healthz")
def healthz():
    return "ok\n"


@app.route("/visitor")
def visitor():
    return {"address": request.remote_addr, "url": request.url}
