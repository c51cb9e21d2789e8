"""Validation of the file with pydantic, in a process of its own."""
