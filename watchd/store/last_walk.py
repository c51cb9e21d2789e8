"""The last result of `df --deep`, as a file of the state directory: the daemon itself never walks."""

import json
import os
from pathlib import Path
from typing import Any

from watchd.errors import StateError
from watchd.runtime.files import open_file

_NAME = "df-deep.json"
_LONGEST = 1024 * 1024  # bytes


def save(directory: Path, result: Any) -> None:
    """Replace the last result, if the directory is there. Raise `StateError` if it cannot be written."""
    new = directory / f"{_NAME}.new"
    try:
        with os.fdopen(open_file(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w", encoding="utf-8") as file:
            json.dump(result, file)
        new.replace(directory / _NAME)
    except FileNotFoundError:  # no daemon has run on it yet
        return
    except OSError as error:
        raise StateError(f"{directory / _NAME} cannot be written: {error.strerror}") from None


def load(directory: Path) -> Any:
    """Return the last result, None if there is none that can be read."""
    try:
        with os.fdopen(open_file(directory / _NAME, os.O_RDONLY), encoding="utf-8") as file:
            return json.loads(file.read(_LONGEST))
    except (OSError, StateError, ValueError, RecursionError):
        return None
