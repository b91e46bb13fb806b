"""Servers on DigitalOcean."""
