"""For networks that reach package registries but not Pulumi's downloads."""
