"""Sources of containers' usage: cgroups, or the engine's API."""
