"""`make soak`: minutes of everything happening at once, and then whether watchd lost any of it."""
