"""The old name of a module: providers in the states of running stacks are pickled by it."""

from components.draining import DrainProvider as Leaver

__all__ = ["Leaver"]
