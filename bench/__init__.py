"""`make bench`: measures Gantry's promises in figures on this computer."""

import sys
from pathlib import Path

# The simulated clouds import parts of the offline command plugin, which isn't installed in the virtual environment.
sys.path.append(str(Path(__file__).resolve().parents[1] / "tools/command-plugin"))
