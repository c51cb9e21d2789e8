"""The engine's JSON as values of the model. Pure."""
