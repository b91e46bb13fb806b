"""The old name of a module that providers in users' states are pickled by."""
from components.digitalocean.vpc_waiter import VpcWaiterProvider as Emptier  # noqa: F401
