"""HTTP: the endpoints that watchd serves."""
