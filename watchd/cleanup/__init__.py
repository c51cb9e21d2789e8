"""The cleaner: what is removed, when, and why."""
