"""A host of the past: what is on it, and what happens to it. Pure."""
