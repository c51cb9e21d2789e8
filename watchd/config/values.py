"""The values of the configuration that have a form of their own: durations, schedules, addresses.

Each is checked while loading; a refusal is a `PydanticCustomError` whose text is shown as it is.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from watchd.cron import parse_hours, parse_schedule
from watchd.units import (
    exact_size,
    format_duration,
    format_percentage,
    parse_duration,
    parse_percentage,
    parse_size,
)

_BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}")
_MOST_COST = 15  # 2 s and more on one core


def _duration(value: object) -> float:
    if isinstance(value, str):
        try:
            return parse_duration(value.strip())
        except ValueError as error:
            raise PydanticCustomError("duration", "{reason}", {"reason": str(error)}) from None
    reason = f'{value!r} has no unit: write a duration like "90s", "12h" or "7d"'
    raise PydanticCustomError("duration", "{reason}", {"reason": reason})


def _size(value: object) -> int:
    if isinstance(value, str):
        try:
            return parse_size(value.strip())
        except ValueError as error:
            raise PydanticCustomError("size", "{reason}", {"reason": str(error)}) from None
    reason = f'{value!r} has no unit: write a size like "500MB" or "20GiB"'
    raise PydanticCustomError("size", "{reason}", {"reason": reason})


def _percentage(value: object) -> float:
    if isinstance(value, str):
        try:
            return parse_percentage(value.strip())
        except ValueError as error:
            raise PydanticCustomError("percentage", "{reason}", {"reason": str(error)}) from None
    raise PydanticCustomError("percentage", "{reason}", {"reason": f'{value!r} has no "%": write it like "85%"'})


def _quiet_hours(text: str) -> str:
    try:
        parse_hours(text)
    except ValueError as error:
        raise PydanticCustomError("quiet_hours", "{reason}", {"reason": str(error)}) from None
    return text


def _schedule(text: str) -> str:
    try:
        parse_schedule(text)
    except ValueError as error:
        raise PydanticCustomError("schedule", "{reason}", {"reason": str(error)}) from None
    return text


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # unknown, absolute or malformed
        reason = f'{name!r} is not a time zone of this machine: write one like "Europe/Berlin" or "UTC"'
        raise PydanticCustomError("timezone", "{reason}", {"reason": reason}) from None
    return name


def _engine_host(address: str) -> str:
    with suppress(ValueError):  # of urlsplit: brackets that nothing closes
        parts = urlsplit(address)
        if parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc:
            return address
        further = (parts.path.removesuffix("/"), parts.query, parts.fragment)
        if parts.scheme == "tcp" and parts.hostname and _port(parts.netloc) and not any(further):
            return address.rstrip("/")
    reason = f'{address!r} is not an engine\'s address: write "unix:///path/to.sock" or "tcp://host:port"'
    if address.startswith("ssh://"):
        reason += " (over SSH: forward the socket with `ssh -L /tmp/docker.sock:/var/run/docker.sock HOST`)"
    raise PydanticCustomError("engine_host", "{reason}", {"reason": reason})


def _listen(address: str) -> str:
    host = address.rpartition(":")[0]
    bracketed = host.startswith("[") and host.endswith("]")
    if _port(address) and host and (":" not in host or bracketed):
        return address
    reason = f'{address!r} is not an address to listen on: write "127.0.0.1:10210" or "[::1]:10210"'
    raise PydanticCustomError("listen", "{reason}", {"reason": reason})


def _port(address: str) -> bool:
    port = address.rpartition(":")[2]
    return port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536


def _existing_file(path: Path) -> Path:
    reason = ""
    if path.is_dir():
        reason = "is a directory"
    elif not os.access(path, os.F_OK):
        reason = "there is no such file"
    elif not os.access(path, os.R_OK):
        reason = "cannot be read by this user"
    if reason:
        raise PydanticCustomError("existing_file", "{reason}", {"reason": f"{path}: {reason}"})
    return path


def _user_name(name: str) -> str:
    if not name or ":" in name or not name.isprintable():
        reason = f"{name!r} is no user's name: leave out colons and control characters"
        raise PydanticCustomError("user_name", "{reason}", {"reason": reason})
    return name


def _password_hash(secret: SecretStr) -> SecretStr:
    found = _BCRYPT.fullmatch(secret.get_secret_value())
    if found is None:
        reason = "is not a bcrypt hash: make one with `htpasswd -nBC 10 NAME`, and write what follows the colon"
        raise PydanticCustomError("password_hash", "{reason}", {"reason": reason})
    if int(found["cost"]) > _MOST_COST:
        reason = f"has a cost above {_MOST_COST}: checking it would take seconds"
        raise PydanticCustomError("password_hash", "{reason}", {"reason": reason})
    return secret


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "description": 'a number with its unit: "90s", "12h", "7d"'}),
]
Size = Annotated[
    int,
    BeforeValidator(_size),
    PlainSerializer(exact_size, return_type=str),
    WithJsonSchema({"type": "string", "description": 'a number with its unit: "500MB", "20GiB"'}),
]
Percentage = Annotated[
    float,
    BeforeValidator(_percentage),
    PlainSerializer(format_percentage, return_type=str),
    WithJsonSchema({"type": "string", "description": 'from "0%" to "100%"'}),
]
Schedule = Annotated[str, AfterValidator(_schedule)]
QuietHours = Annotated[str, AfterValidator(_quiet_hours)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
EngineHost = Annotated[str, AfterValidator(_engine_host)]
ListenAddress = Annotated[str, AfterValidator(_listen)]
UserName = Annotated[str, AfterValidator(_user_name)]
PasswordHash = Annotated[SecretStr, AfterValidator(_password_hash)]
ExistingFile = Annotated[Path, AfterValidator(_existing_file)]
Mode = Literal["report", "enforce"]
Globs = tuple[str, ...]
