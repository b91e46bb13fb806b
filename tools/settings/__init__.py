"""Writes what follows from the declarations of the settings: the schema in Pulumi.yaml and docs/settings.md."""
