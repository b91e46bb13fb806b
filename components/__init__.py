"""The parts of a Gantry stack: settings, artifacts, servers of each target, and the rollout to them."""
