"""One run, from the look at the engine to the record of what it removed."""
