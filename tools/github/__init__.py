"""What the workflows in .github/ do, where it is more than a line. Standard library only."""
