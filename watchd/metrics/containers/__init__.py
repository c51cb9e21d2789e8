"""The samples of containers."""
