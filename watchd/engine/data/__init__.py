"""The engine's data on this host: its places, disks, logs, mounts and owners."""
