"""Notifications through Apprise (optional: `pip install "watchd[notify]"`)."""
