"""The connection to the engine: transport, small requests on one socket, replies as JSON."""
