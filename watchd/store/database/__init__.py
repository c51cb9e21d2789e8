"""The SQLite database itself: opened, migrated, and read where it must not be written."""
