"""The live table of `watchd top`: `feed` gets what is shown, `view` orders it, `drawing` draws, `screen` shows it."""
