"""The past: what policies would have done on this host, by its timeline and the planner that plans real runs."""
