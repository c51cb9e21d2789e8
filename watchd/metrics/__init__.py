"""Container metrics: which containers there are, their cgroup files, and the text that Prometheus reads."""
