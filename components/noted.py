"""The old name of a module. Providers in the states of running stacks are pickled under it."""

from components.providers import MarkerProvider as Noted

__all__ = ["Noted"]
