"""Gantry's security promises, as rules about the resources that a stack declares."""
