"""HTTP server and the files of the page."""
