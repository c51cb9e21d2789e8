"""The watch on the engine: its events, and the mirror that they keep up to date."""
