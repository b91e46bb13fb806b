"""The Pulumi engine, built from source."""
