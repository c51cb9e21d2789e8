"""Types of configuration values with their own syntax: durations, schedules, addresses."""

import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from watchd.config.schedules import parse_hours, parse_schedule
from watchd.config.schema.section import Checked, Problems, Written
from watchd.model.names.patterns import problems
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
_POLICY_NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
LABEL_GROUP = "label:"  # begins a group of `keep.per` by a label
_MAX_COST = 15  # 2 s and more on one core
DELETES_DATA = 'can only be "local": a volume of another driver is never removed, since that deletes its data'


def _duration(value: object) -> float:
    if isinstance(value, str):
        return parse_duration(value.strip())
    raise ValueError(f'{value!r} has no unit: write a duration like "90s", "12h" or "7d"')


def _size(value: object) -> int:
    if isinstance(value, str):
        return parse_size(value.strip())
    raise ValueError(f'{value!r} has no unit: write a size like "500MB" or "20GiB"')


def _percentage(value: object) -> float:
    if isinstance(value, str):
        return parse_percentage(value.strip())
    raise ValueError(f'{value!r} has no "%": write it like "85%"')


def _quiet_hours(text: str) -> str:
    parse_hours(text)
    return text


def _schedule(text: str) -> str:
    parse_schedule(text)
    return text


def _timezone(name: str) -> str:
    try:
        time_zone(name)
    except (ValueError, OSError, KeyError):  # unknown, absolute or malformed
        reason = f'{name!r} is not a time zone of this machine: write one like "Europe/Berlin" or "UTC"'
        raise ValueError(reason) from None
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
    raise ValueError(reason)


def _listen(value: object) -> str | tuple[str, ...]:
    if isinstance(value, list | tuple) and value:
        addresses = tuple(map(_listen_address, value))
        twice = next((each for each in addresses if addresses.count(each) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} is listed twice: write each address once")
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
    raise ValueError(f"{address!r} is not an address to listen on: write {examples}")


def _port(address: str) -> bool:
    port = address.rpartition(":")[2]
    return port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536


def _directory(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"{path}: is not absolute: begin it with /")
    if not path.exists():
        raise ValueError(f"{path}: there is no such directory here; in a container it has to be mounted")
    if not path.is_dir():
        raise ValueError(f"{path}: is not a directory")
    return path


def _existing_file(path: Path) -> Path:
    if path.is_dir():
        raise ValueError(f"{path}: is a directory")
    if not os.access(path, os.F_OK):
        raise ValueError(f"{path}: there is no such file")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{path}: cannot be read by this user")
    return path


def _user_name(name: str) -> str:
    if not name or ":" in name or not name.isprintable():
        raise ValueError(f"{name!r} is not a valid user name: remove colons and control characters")
    return name


def _password_hash(hashed: str) -> str:
    found = _BCRYPT.fullmatch(hashed)
    if found is None:
        raise ValueError(
            "is not a bcrypt hash: create one with `htpasswd -nBC 10 NAME` and use the part after the colon"
        )
    if int(found["cost"]) > _MAX_COST:
        raise ValueError(f"has a cost above {_MAX_COST}: checking it would take seconds")
    return hashed


def _notification_url(url: str) -> str:
    if not _URL.match(url):
        raise ValueError(
            'is not an address of Apprise: write one like "ntfy://topic" or "mailto://user:password@example.org"'
        )
    if find_spec("apprise") is None:
        raise ValueError(f'needs Apprise, which is not installed: {sys.executable} -m pip install "watchd[notify]"')
    return url


def _policy_name(name: str) -> str:
    if not re.fullmatch(_POLICY_NAME, name):
        raise ValueError(f"{name!r} is not a valid name: use letters, digits, '_', '.' and '-', at most 64")
    return name


def _driver(driver: object) -> str:
    if driver != "local":
        raise ValueError(DELETES_DATA)
    return "local"


def _patterns(*, of_names: bool) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """Return the check of a list of patterns, which reports every error at its index."""

    def check(patterns: tuple[str, ...]) -> tuple[str, ...]:
        found = [
            ((index,), f"{json.dumps(patterns[index])} {reason}")
            for index, reason in problems(patterns, of_names=of_names)
        ]
        if found:
            raise Problems(found)
        return patterns

    return check


def _in_groups(*words: str) -> Checked:
    """Return the check of `keep.per`: one of these words, or "label:<key>"."""

    def check(text: str) -> str:
        if text in words or (text.startswith(LABEL_GROUP) and text != LABEL_GROUP):
            return text
        choices = ", ".join(f'"{word}"' for word in words)
        raise ValueError(f'{text!r} is no group: use {choices} or "label:<key>"')

    written = ", ".join(f'`"{word}"`' for word in words)
    schema = {
        "type": "string",
        "pattern": f"^({'|'.join(words)}|label:.+)$",
        "description": f'{written} or `"label:<key>"`',
    }
    return Checked(check, schema)


def at_least(least: int) -> Checked:
    """Return the check of a whole number."""

    def check(value: int) -> int:
        if value < least:
            raise ValueError(f"should be greater than or equal to {least}, not {value}")
        return value

    return Checked(check, {"type": "integer", "minimum": least})


def _text(description: str) -> dict[str, str]:
    """Return the JSON Schema of a text."""
    return {"type": "string", "description": description}


_SECRET = {"type": "string", "format": "password", "writeOnly": True}

Duration = Annotated[float, Written(_duration, format_duration, _text('a number with its unit: "90s", "12h", "7d"'))]
Size = Annotated[int, Written(_size, format_exact_size, _text('a number with its unit: "500MB", "20GiB"'))]
Percentage = Annotated[float, Written(_percentage, format_percentage, _text('from "0%" to "100%"'))]
ListenAddresses = Annotated[
    str | tuple[str, ...],
    Written(
        _listen,
        lambda value: value if isinstance(value, str) else list(value),
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            "description": 'a text or a list of texts: "host:port", ":port" for IPv4 and IPv6, "unix:///path"',
        },
    ),
]
Count = Annotated[int, at_least(1)]
Schedule = Annotated[str, Checked(_schedule)]
QuietHours = Annotated[str, Checked(_quiet_hours)]
TimeZone = Annotated[str, Checked(_timezone)]
EngineHost = Annotated[str, Checked(_engine_host)]
UserName = Annotated[str, Checked(_user_name)]
PolicyName = Annotated[str, Checked(_policy_name, {"type": "string", "pattern": f"^{_POLICY_NAME}$"})]
NotificationUrl = Annotated[str, Checked(_notification_url, _SECRET, secret=True)]
PasswordHash = Annotated[str, Checked(_password_hash, _SECRET, secret=True)]
Directory = Annotated[Path, Checked(_directory)]
ExistingFile = Annotated[Path, Checked(_existing_file)]
Driver = Annotated[str, Written(_driver, str, {"type": "string", "const": "local"})]
Mode = Literal["report", "enforce"]
_NAME = Annotated[str, Checked(str, {**_text("glob"), "pattern": r"^[^\^$|()\\]+$"})]
_LABEL = Annotated[str, Checked(str, _text("glob"))]
NamePatterns = Annotated[tuple[_NAME, ...], Checked(_patterns(of_names=True))]
LabelPatterns = Annotated[tuple[_LABEL, ...], Checked(_patterns(of_names=False))]
ContainerGroup = Annotated[str, _in_groups("name", "compose_service", "host")]
ImageGroup = Annotated[str, _in_groups("repository", "host")]
