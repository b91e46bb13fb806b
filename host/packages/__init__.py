"""A release's Python and packages: reads what the app locks, and installs it."""
