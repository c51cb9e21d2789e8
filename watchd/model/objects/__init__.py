"""Objects of a Docker host, one file per kind, and their parts. `watchd.model` has them all."""
