"""The parts of the workflows in .github/workflows that are more than a line of shell."""
