"""`make bench`: measures Gantry's promises in figures on this computer."""
