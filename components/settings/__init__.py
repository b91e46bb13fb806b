"""The stack's settings: declared once each, read from Pulumi's configuration, checked before anything is touched."""
