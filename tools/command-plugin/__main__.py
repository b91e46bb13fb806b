"""Run the plugin: `python FOLDER`, where FOLDER is this one or a copy made by install.py."""

from __future__ import annotations

from command_plugin.server import main

main()
