"""Values as JSON, for who asks over HTTP."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from watchd.gzipped import Gzipped
from watchd.web.application import Response


def as_json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return a value as a response."""
    return Response(_json(value) + b"\n", "application/json", status)


def as_long_json(value: Mapping[str, object]) -> Response:
    """Return an object as a response, compressed. Its members may be long: they are written element by element.

    Python lets no other thread run while it writes a piece, and the last reading of a cgroup has 20 ms.
    """
    text = Gzipped()
    opening = b"{"
    for name, member in value.items():
        text.add(opening + _json(name) + b":")
        opening = b","
        match member:
            case list():
                _add(text, b"[", (_json(each) for each in member), b"]")
            case dict():
                _add(text, b"{", (_json(key) + b":" + _json(each) for key, each in member.items()), b"}")
            case _:
                text.add(_json(member))
    text.add(b"}\n" if value else b"{}\n")
    return Response(text.finished(), "application/json", gzipped=True)


def _add(text: Gzipped, begin: bytes, elements: Iterable[bytes], end: bytes) -> None:
    opening = begin
    for element in elements:
        text.add(opening + element)
        opening = b","
    text.add(end if opening == b"," else begin + end)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
