"""The tables of the database, one file each, with their rows."""
