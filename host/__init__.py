"""The program on each server: applies the configuration and switches releases. Standard library only."""
