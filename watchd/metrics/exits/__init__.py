"""The ends of containers, and what they had used by then."""
