"""What Gantry promises in figures, measured on this computer: `make bench`."""

import sys
from pathlib import Path

# The simulated clouds' providers are made of parts of the offline plugin, which is no package of the environment.
sys.path.append(str(Path(__file__).resolve().parents[1] / "tools/command-plugin"))
