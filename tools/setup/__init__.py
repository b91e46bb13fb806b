"""Makes what the project needs on this computer: the Pulumi engine, the Python environment, the plugin."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is what tells the owner of an older one
    sys.exit(f"gantry: needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}.")
