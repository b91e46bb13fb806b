"""What one server should be: its first boot, its configuration, the program on it and its commands. Pure functions."""
