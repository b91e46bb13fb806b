"""The variables that add-ons of Heroku set."""

from __future__ import annotations

import re

_VARIABLES = {
    "heroku-postgresql": "DATABASE_URL",
    "heroku-redis": "REDIS_URL",
    "rediscloud": "REDISCLOUD_URL",
    "redistogo": "REDISTOGO_URL",
    "openredis": "OPENREDIS_URL",
    "stackhero-redis": "STACKHERO_REDIS_URL_TLS",
    "heroku-kafka": "KAFKA_URL",
    "cloudamqp": "CLOUDAMQP_URL",
    "jawsdb": "JAWSDB_URL",
    "jawsdb-maria": "JAWSDB_MARIA_URL",
    "cleardb": "CLEARDB_DATABASE_URL",
    "mongolab": "MONGODB_URI",
    "mongohq": "MONGOHQ_URL",
    "ormongo": "ORMONGO_URL",
    "memcachier": "MEMCACHIER_SERVERS",
    "memcachedcloud": "MEMCACHEDCLOUD_SERVERS",
    "bonsai": "BONSAI_URL",
    "searchbox": "SEARCHBOX_URL",
    "foundelasticsearch": "FOUNDELASTICSEARCH_URL",
    "sendgrid": "SENDGRID_API_KEY",
    "mailgun": "MAILGUN_API_KEY",
    "postmark": "POSTMARK_API_TOKEN",
    "sparkpost": "SPARKPOST_API_KEY",
    "mailtrap": "MAILTRAP_API_TOKEN",
    "cloudinary": "CLOUDINARY_URL",
    "bucketeer": "BUCKETEER_BUCKET_NAME",
    "cloudcube": "CLOUDCUBE_URL",
    "sentry": "SENTRY_DSN",
    "rollbar": "ROLLBAR_ACCESS_TOKEN",
    "newrelic": "NEW_RELIC_LICENSE_KEY",
    "scout": "SCOUT_KEY",
    "algoliasearch": "ALGOLIASEARCH_API_KEY",
    "pusher": "PUSHER_URL",
    "fixie": "FIXIE_URL",
    "quotaguard": "QUOTAGUARD_URL",
    "quotaguardstatic": "QUOTAGUARDSTATIC_URL",
}


def plan(addon: str) -> str:
    """The add-on without its size and without a name of its own."""
    return re.split("[: ]", addon)[0]


def variable(addon: str) -> str:
    """The variable of an add-on such as heroku-postgresql:mini or `heroku-redis as CACHE`; empty for an unknown one."""
    _, _, alias = addon.partition(" as ")
    name = _VARIABLES.get(plan(addon), "")
    if not alias or not name:
        return name
    # For heroku-redis as cache, CACHE_URL.
    return f"{alias.upper()}_{name.partition('_')[2]}"
