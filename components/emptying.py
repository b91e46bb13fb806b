"""The old name of a module. Providers in the states of running stacks are pickled under it."""

from components.digitalocean.vpc_waiter import VpcWaiterProvider as Emptier

__all__ = ["Emptier"]
