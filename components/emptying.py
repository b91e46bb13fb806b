"""The old name of a module: providers in the states of running stacks are pickled by it."""

from components.digitalocean.vpc_waiter import VpcWaiterProvider as Emptier

__all__ = ["Emptier"]
