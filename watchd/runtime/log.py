"""Logging to stderr: text, or one JSON object per line."""

import json
import logging
import re
import sys
from typing import Literal

from watchd.units import format_time

_NOT_IN_A_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
"""Characters that end a line or change the terminal: a message may have text of others, as a proxy's page of HTML."""

Format = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]


class TextFormatter(logging.Formatter):
    """One line per record: time, level, logger without "watchd.", message."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, with its traceback if it has one."""
        part = record.name.removeprefix("watchd.")
        message = _NOT_IN_A_LINE.sub(" ", record.getMessage())
        line = f"{format_time(record.created)} {record.levelname.lower()} {part}: {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object per line: `time`, `level`, `logger`, `message`, and `exception` if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
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
    """Log watchd's records of `level` and above, and the libraries' warnings. A second call replaces the first."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format_ == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("watchd").setLevel(level.upper())
