"""The old name of a module. Providers in the states of running stacks are pickled under it."""

from components.draining import DrainProvider as Leaver

__all__ = ["Leaver"]
