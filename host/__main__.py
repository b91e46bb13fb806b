import sys

from host import unit_commands

if sys.argv[1:] and sys.argv[1] in unit_commands.COMMANDS:
    raise SystemExit(unit_commands.main(sys.argv[1:]))

# This imports everything, which takes longer than most of those commands.
from host.cli import main

raise SystemExit(main())
