"""Brings servers to a release over SSH: the steps, their order over several servers, and the rollback."""
