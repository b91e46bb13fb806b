"""The local target: its servers are machines on this computer. machine.py and its imports need no Pulumi."""
