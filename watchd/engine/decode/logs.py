"""The log of a container, from the Engine API's JSON. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from watchd.engine.decode.fields import strings, table, text
from watchd.model.objects.logs import Log

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
# By driver: bytes and number of files where nothing is configured. json-file has no bound.
_DEFAULTS: Mapping[str, tuple[int, int]] = {"json-file": (0, 1), "local": (20 * 1024**2, 5)}


def log_of(raw: Any) -> Log | None:
    """Return the log in `GET /containers/{id}/json`; None where its driver keeps no file that the engine names."""
    configured = table(table(raw, "HostConfig"), "LogConfig")
    driver, path = text(configured, "Type"), text(raw, "LogPath")
    if driver in _DEFAULTS:
        return Log(driver, path, _limit(driver, strings(configured, "Config")))
    return Log(driver, path) if path else None


def _limit(driver: str, options: Mapping[str, str]) -> int | None:
    """Return `max-size` times `max-file`; 0: none is set; None: it is not understood."""
    size, files = _DEFAULTS[driver]
    try:
        if "max-size" in options:
            size = _bytes(options["max-size"])
        if "max-file" in options:
            files = int(options["max-file"])
    except ValueError:
        return None
    return size * max(1, files)


def _bytes(written: str) -> int:
    """Parse a size as the engine does: its units are powers of 1000, "m" as well as "MiB"."""
    found = _SIZE.fullmatch(written)
    if found is None:
        raise ValueError(written)
    return int(float(found[1]) * 1000 ** _POWERS[found[2].lower()])
