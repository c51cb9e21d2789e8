"""JSON endpoints of the daemon, and those of the page."""
