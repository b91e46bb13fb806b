"""Servers that are machines on this computer. The library below the components needs no Pulumi."""
