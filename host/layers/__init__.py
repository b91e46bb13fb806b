"""The layers that a visitor's request passes, from the firewall to the app: what is broken, why, and its repair."""
