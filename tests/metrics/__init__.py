"""The tests of watchd/metrics."""
