"""Disk space: which objects hold which bytes, alone or with others. Pure."""
