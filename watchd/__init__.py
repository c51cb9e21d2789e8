"""watchd watches a Docker host for Prometheus and cleans it by policy."""

__version__ = "0.1.0"
