"""The old name of a module that providers in users' states are pickled by."""
from components.providers import MarkerProvider as Noted  # noqa: F401
