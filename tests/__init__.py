"""The tests of watchd, and the harness that gives them real engines."""
