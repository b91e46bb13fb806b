"""Servers on EC2."""
