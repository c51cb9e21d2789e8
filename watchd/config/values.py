"""Types of configuration values with their own syntax: durations, schedules, addresses.

Errors are raised as `PydanticCustomError` with the text to show.
"""

import json
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from watchd.config.cron import parse_hours, parse_schedule
from watchd.model.patterns import problems
from watchd.units import (
    format_duration,
    format_exact_size,
    format_percentage,
    parse_duration,
    parse_percentage,
    parse_size,
    time_zone,
)

_BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.")
LABEL_GROUP = "label:"  # begins a group of `keep.per` by a label
_MAX_COST = 15  # 2 s and more on one core


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
        time_zone(name)
    except (ValueError, OSError, KeyError):  # unknown, absolute or malformed
        reason = f'{name!r} is not a time zone of this machine: write one like "Europe/Berlin" or "UTC"'
        raise PydanticCustomError("timezone", "{reason}", {"reason": reason}) from None
    return name


def _engine_host(address: str) -> str:
    with suppress(ValueError):  # raised by urlsplit for an unclosed bracket
        parts = urlsplit(address)
        if parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc:
            return address
        further = (parts.path.removesuffix("/"), parts.query, parts.fragment)
        if parts.scheme == "tcp" and parts.hostname and _port(parts.netloc) and not any(further):
            return address.rstrip("/")
    reason = f'{address!r} is not an engine address: write "unix:///path/to.sock" or "tcp://host:port"'
    if address.startswith("ssh://"):
        reason += " (over SSH: forward the socket with `ssh -L /tmp/docker.sock:/var/run/docker.sock HOST`)"
    raise PydanticCustomError("engine_host", "{reason}", {"reason": reason})


def _listen(value: object) -> str | tuple[str, ...]:
    if isinstance(value, list | tuple) and value:
        addresses = tuple(map(_listen_address, value))
        twice = next((each for each in addresses if addresses.count(each) > 1), None)
        if twice is not None:
            reason = f"{twice!r} is listed twice: write each address once"
            raise PydanticCustomError("listen", "{reason}", {"reason": reason})
        return addresses
    return _listen_address(value)


def _listen_address(address: object) -> str:
    if isinstance(address, str):
        host, colon, _ = address.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if address.startswith("unix:///") and len(address) > len("unix:///"):
            return str(address)
        if colon and _port(address) and (":" not in host or bracketed):
            return str(address)
    examples = '"127.0.0.1:10210", "[::1]:10210", ":10210" or "unix:///run/watchd.sock"'
    reason = f"{address!r} is not an address to listen on: write {examples}"
    raise PydanticCustomError("listen", "{reason}", {"reason": reason})


def _port(address: str) -> bool:
    port = address.rpartition(":")[2]
    return port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536


def _directory(path: Path) -> Path:
    reason = ""
    if not path.is_absolute():
        reason = "is not absolute: begin it with /"
    elif not path.exists():
        reason = "there is no such directory here; in a container it has to be mounted"
    elif not path.is_dir():
        reason = "is not a directory"
    if reason:
        raise PydanticCustomError("directory", "{reason}", {"reason": f"{path}: {reason}"})
    return path


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
        reason = f"{name!r} is not a valid user name: remove colons and control characters"
        raise PydanticCustomError("user_name", "{reason}", {"reason": reason})
    return name


def _password_hash(secret: SecretStr) -> SecretStr:
    found = _BCRYPT.fullmatch(secret.get_secret_value())
    if found is None:
        reason = "is not a bcrypt hash: create one with `htpasswd -nBC 10 NAME` and use the part after the colon"
        raise PydanticCustomError("password_hash", "{reason}", {"reason": reason})
    if int(found["cost"]) > _MAX_COST:
        reason = f"has a cost above {_MAX_COST}: checking it would take seconds"
        raise PydanticCustomError("password_hash", "{reason}", {"reason": reason})
    return secret


def _notification_url(secret: SecretStr) -> SecretStr:
    if not _URL.match(secret.get_secret_value()):
        reason = 'is not an address of Apprise: write one like "ntfy://topic" or "mailto://user:password@example.org"'
        raise PydanticCustomError("notification_url", "{reason}", {"reason": reason})
    if find_spec("apprise") is None:
        reason = 'needs Apprise, which is not installed: pip install "watchd[notify]"'
        raise PydanticCustomError("notification_url", "{reason}", {"reason": reason})
    return secret


def _name_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    return _checked(patterns, problems(patterns, of_names=True))


def _label_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    return _checked(patterns, problems(patterns, of_names=False))


def _checked(patterns: tuple[str, ...], found: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """Return the patterns. Raise all their problems, each at its index."""
    errors = [
        InitErrorDetails(
            type=PydanticCustomError("pattern", "{reason}", {"reason": f"{json.dumps(patterns[index])} {reason}"}),
            loc=(index,),
            input=patterns[index],
        )
        for index, reason in found
    ]
    if errors:
        raise ValidationError.from_exception_data("patterns", errors)
    return patterns


def _in_groups(*words: str) -> Callable[[str], str]:
    """Return the check of `keep.per`: one of these words, or "label:<key>"."""

    def check(text: str) -> str:
        if text in words or (text.startswith(LABEL_GROUP) and text != LABEL_GROUP):
            return text
        choices = ", ".join(f'"{word}"' for word in words)
        reason = f'{text!r} is no group: use {choices} or "label:<key>"'
        raise PydanticCustomError("group", "{reason}", {"reason": reason})

    return check


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "description": 'a number with its unit: "90s", "12h", "7d"'}),
]
Size = Annotated[
    int,
    BeforeValidator(_size),
    PlainSerializer(format_exact_size, return_type=str),
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
ListenAddresses = Annotated[
    str | tuple[str, ...],
    PlainValidator(_listen),
    PlainSerializer(lambda value: value if isinstance(value, str) else list(value)),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            "description": 'a text or a list of texts: "host:port", ":port" for IPv4 and IPv6, "unix:///path"',
        }
    ),
]
UserName = Annotated[str, AfterValidator(_user_name)]
NotificationUrl = Annotated[SecretStr, AfterValidator(_notification_url)]
PasswordHash = Annotated[SecretStr, AfterValidator(_password_hash)]
Directory = Annotated[Path, AfterValidator(_directory)]
ExistingFile = Annotated[Path, AfterValidator(_existing_file)]
Mode = Literal["report", "enforce"]
_NAME = Annotated[str, WithJsonSchema({"type": "string", "description": "glob", "pattern": r"^[^\^$|()\\]+$"})]
_LABEL = Annotated[str, WithJsonSchema({"type": "string", "description": "glob"})]
NamePatterns = Annotated[tuple[_NAME, ...], AfterValidator(_name_patterns)]
LabelPatterns = Annotated[tuple[_LABEL, ...], AfterValidator(_label_patterns)]
ContainerGroup = Annotated[
    str,
    AfterValidator(_in_groups("name", "compose_service", "host")),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^(name|compose_service|host|label:.+)$",
            "description": '`"name"`, `"compose_service"`, `"host"` or `"label:<key>"`',
        }
    ),
]
ImageGroup = Annotated[
    str,
    AfterValidator(_in_groups("repository", "host")),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^(repository|host|label:.+)$",
            "description": '`"repository"`, `"host"` or `"label:<key>"`',
        }
    ),
]
