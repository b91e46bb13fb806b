"""Draws the pictures of the documentation from the text files in docs/pictures. Standard library only."""
