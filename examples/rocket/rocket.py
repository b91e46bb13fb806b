"""The smallest app that is worth a server."""

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)
# One proxy, Nginx, is in front: its word on the visitor's address and scheme counts.
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
