"""watchd's metrics about itself."""
