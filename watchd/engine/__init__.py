"""The Docker Engine: one client, the pure conversion of its replies, and the watch on its events."""
