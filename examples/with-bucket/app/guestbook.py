"""A guestbook. Each entry is an object in a bucket, so that it outlives every server."""

import os
import time

import boto3
from flask import Flask, redirect, request

app = Flask(__name__)
# boto3 reads the key, the region and the endpoint from variables of its own.
bucket = boto3.resource("s3").Bucket(os.environ["S3_BUCKET"])


@app.get("/")
def entries():
    lines = [entry.get()["Body"].read().decode() + "\n" for entry in bucket.objects.all()]
    return "".join(lines), {"Content-Type": "text/plain; charset=utf-8"}


@app.post("/")
def add():
    bucket.put_object(Key=str(time.time_ns()), Body=request.form["text"].encode())
    return redirect("/", 303)


@app.get("/healthz")
def healthz():
    return "ok\n"
