"""Describes one server: its first boot, its configuration, the program on it and its commands. Pure functions."""
