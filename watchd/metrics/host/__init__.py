"""The samples of the host."""
