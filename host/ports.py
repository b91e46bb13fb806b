"""TCP ports of the loopback interface that belong to Gantry."""

from __future__ import annotations

# The address at which Nginx serves a deployment that isn't switched to yet. Only root may connect to it.
CANDIDATE_PORT = 30000
