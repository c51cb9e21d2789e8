"""The process itself: signals, systemd, watchdog, log, file locks."""
