"""JSON responses."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from watchd.gzipped import Gzipped
from watchd.http.application import Response
from watchd.runtime.turns import give_way


def as_json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return a value as a JSON response."""
    return Response(_json(value) + b"\n", "application/json", status)


def as_long_json(value: Mapping[str, object]) -> Response:
    """Return an object with long members as a compressed JSON response.

    It is encoded element by element, since `json.dumps` blocks all other threads: the last reading of a cgroup must
    begin within 20 ms, and scrapes go first.
    """
    text = Gzipped()
    opening = b"{"
    for name, member in value.items():
        text.add(opening + _json(name) + b":")
        opening = b","
        match member:
            case list():
                _add_elements(text, b"[", (_json(each) for each in member), b"]")
            case dict():
                _add_elements(text, b"{", (_json(key) + b":" + _json(each) for key, each in member.items()), b"}")
            case _:
                text.add(_json(member))
    text.add(b"}\n" if value else b"{}\n")
    return Response(text.finished(), "application/json", gzipped=True)


def _add_elements(text: Gzipped, begin: bytes, elements: Iterable[bytes], end: bytes) -> None:
    opening = begin
    for element in elements:
        give_way()
        text.add(opening + element)
        opening = b","
    text.add(end if opening == b"," else begin + end)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
