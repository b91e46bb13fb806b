"""Makes machines and networks of the local target count as running, in the processes of a test.

The kept local stacks have no machines on this computer. Their records come from the kept state, and the real code reads
them. Only three answers aren't real: whether this computer can boot machines, whether a network is up, and whether a
machine runs. Python imports this file at its start, because the test puts this folder on PYTHONPATH.
"""

import sys

# The process in which the engine runs dynamic providers; no other process asks for a status.
if "pulumi.dynamic" in sys.orig_argv:
    from components.local import bridge, computer, machine

    bridge.status = lambda _id: "up"
    machine.status = lambda _id: "running"
    computer.require_root_and_tools = lambda *_tools: None
