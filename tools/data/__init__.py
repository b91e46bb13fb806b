"""bin/data: copies /var/lib/app between a server and this computer."""
