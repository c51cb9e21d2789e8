"""Schema of the configuration: every key with its type and default."""
