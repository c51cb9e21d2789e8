"""When the daemon cleans: generations of settings, the schedule, disk pressure, one run at a time."""
