"""What Gantry promises in figures, measured on this computer: `make bench`."""
