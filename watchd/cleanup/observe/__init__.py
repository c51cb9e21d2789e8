"""Observations of objects: first seen, last used."""
