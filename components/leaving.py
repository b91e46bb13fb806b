"""The old name of a module that providers in users' states are pickled by."""
from components.draining import DrainProvider as Leaver  # noqa: F401
