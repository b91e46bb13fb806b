"""The app of the kept stacks. Its bytes name their release, so they never change."""

import time


def app(_environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello from an older Gantry\n"]


if __name__ == "__main__":
    while True:
        time.sleep(60)
