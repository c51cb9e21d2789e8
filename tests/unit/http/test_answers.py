"""JSON that is written piece by piece is the same JSON."""

import json
from typing import Any

import pytest

from watchd.gzipped import decompressed
from watchd.http.answers import as_json, as_long_json

VALUES: list[dict[str, Any]] = [
    {},
    {"rows": []},
    {"by_id": {}},
    {"at": 1.5, "rows": [1, {"a": None}, "\u00e4\u2028"], "by_id": {"x": [1, 2], 'y"': {}}, "none": None},
]


@pytest.mark.parametrize("value", VALUES)
def test_it_is_the_same(value: dict[str, Any]) -> None:
    assert json.loads(decompressed(as_long_json(value).body)) == json.loads(as_json(value).body) == value
