"""Logging to stderr, as text for people or as one JSON object a line for machines."""

import json
import logging
import sys
from typing import Literal

from watchd.units import format_time

Format = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]


class TextFormatter(logging.Formatter):
    """One line a record: time, level, the part of watchd it comes from, the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, and its traceback where it has one."""
        part = record.name.removeprefix("watchd.")
        line = f"{format_time(record.created)} {record.levelname.lower()} {part}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line with `time`, `level`, `logger`, `message`, and `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON object."""
        entry = {
            "time": format_time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def set_up(level: Level, format_: Format) -> None:
    """Send watchd's records of `level` and above, and the libraries' warnings, to stderr.

    Called again (by a reload) it replaces what it set up before.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format_ == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("watchd").setLevel(level.upper())
