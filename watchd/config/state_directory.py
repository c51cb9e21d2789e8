"""The state directory alone, for `watchd healthcheck`, which runs twice a minute: without pydantic."""

import os
import tomllib
from pathlib import Path

from watchd.config.schema.config import State

_VARIABLE = "watchd_state__directory"


def state_directory(file: Path | None) -> Path:
    """Return the state directory, even if the rest of the configuration has errors."""
    for name, value in os.environ.items():
        if name.lower() == _VARIABLE:  # pydantic-settings takes any case, too
            return Path(value)
    match _content(file):
        case {"state": {"directory": str(directory)}}:
            return Path(directory)
    return State().resolve()


def _content(file: Path | None) -> object:
    try:
        return tomllib.loads(file.read_bytes().decode()) if file is not None else {}
    except (OSError, ValueError, RecursionError):  # as `config check` tells
        return {}
