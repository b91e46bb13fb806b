"""Sets up what the project needs on this computer: Pulumi engine, virtual environment and command plugin."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (a user of an older Python gets this message)
    sys.exit(f"gantry: needs Python 3.11 or newer, but {sys.executable} is {sys.version.split()[0]}.")
