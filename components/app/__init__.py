"""The app: which code becomes a release, what it must contain, and how it is packed."""
