"""The last hour of each container, for `watchd top` and the page."""
