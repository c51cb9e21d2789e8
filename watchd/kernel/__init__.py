"""The kernel's files: /proc and /sys/fs/cgroup."""
