"""A small Flask app, which the example stack deploys."""

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)
# Nginx is the only proxy in front of the app. The app takes the client's address and scheme from its headers.
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
