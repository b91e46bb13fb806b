"""The old name of a module: providers in the states of running stacks are pickled by it."""

from components.providers import MarkerProvider as Noted

__all__ = ["Noted"]
