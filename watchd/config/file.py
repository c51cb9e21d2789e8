"""The configuration file: which one, and its TOML."""

import os
import tomllib
from pathlib import Path
from typing import Any

from watchd.errors import ConfigError

DEFAULT_FILE = Path("/etc/watchd/config.toml")
FILE_VARIABLE = "WATCHD_CONFIG"
DOUBLE_BRACKETS = "write [[cleanup.policies]] with two brackets"


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


def read(file: Path) -> dict[str, Any]:
    """Return the content of a file. Raise `ConfigError` if it cannot be read or is not TOML."""
    try:
        return tomllib.loads(file.read_bytes().decode())
    except FileNotFoundError:
        raise ConfigError([f"{file}: there is no such file"]) from None
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{file}: is not UTF-8 text"]) from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError; also endless numbers or nesting
        advice = f": {DOUBLE_BRACKETS}" if "'policies'" in str(error) else ""
        raise ConfigError([f"{file}: is not TOML: {error}{advice}"]) from None
