"""What Gantry promises about security, as rules over the resources that a stack declares."""
