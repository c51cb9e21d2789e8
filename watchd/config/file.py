"""The configuration file: which one."""

import os
from pathlib import Path

DEFAULT_FILE = Path("/etc/watchd/config.toml")
FILE_VARIABLE = "WATCHD_CONFIG"


def find_file(named: Path | None) -> Path | None:
    """Return the file to load: from the flag or $WATCHD_CONFIG, else the system's file if it exists."""
    if named is not None:
        return named
    if variable := os.environ.get(FILE_VARIABLE):
        return Path(variable)
    try:
        return DEFAULT_FILE if DEFAULT_FILE.exists() else None
    except PermissionError:  # reading it reports the error
        return DEFAULT_FILE
