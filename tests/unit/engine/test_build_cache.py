"""The request that removes records of the build cache, and what the proxy of `deploy/compose` lets through of it."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest

from tests import ROOT
from watchd.config.schema.config import Engine
from watchd.engine.client import EngineClient
from watchd.engine.decode.fields import MalformedReply
from watchd.engine.decode.system import MOST_RECORDS, matching_records

IDS = [f"{number:025x}" for number in range(MOST_RECORDS)]
PROXY = (ROOT / "deploy/compose/haproxy.cfg").read_text()


def query(ids: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the query that the client sends for records."""
    sent: list[Any] = []

    def reply(*_: Any, params: Any, **__: Any) -> Any:
        sent.append(params)
        return {"CachesDeleted": ids}

    client = EngineClient(Engine(), read_only=False)
    monkeypatch.setattr(client, "_json", reply)
    assert client.prune_build_cache(ids) == ids
    return urlencode(sent[0])


def passes(query: str) -> bool:
    found = re.search(r"acl by_ids +query -m reg (\S+)$", PROXY, re.MULTILINE)
    assert found
    return re.search(found[1], query) is not None


def test_it_matches_these_records_and_no_other() -> None:
    pattern = re.compile(matching_records(["abc", "de1"]))
    assert [id_ for id_ in ("abc", "de1", "xabc", "abcx", "ab", "abc|de1", "") if pattern.search(id_)] == ["abc", "de1"]


@pytest.mark.parametrize("id_", ["", "a.c", "a|b", ".*", "A", "a\n", "^", "a,b"])
def test_what_is_no_id_is_never_sent(id_: str) -> None:
    with pytest.raises(MalformedReply):
        matching_records(["abc", id_])


@pytest.mark.parametrize("ids", [[], [*IDS, "more"]])
def test_none_and_too_many_are_never_sent(ids: list[str]) -> None:
    with pytest.raises(AssertionError):
        matching_records(ids)


@pytest.mark.parametrize("number", [1, 2, MOST_RECORDS])
def test_the_proxy_lets_it_through(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = query(IDS[:number], monkeypatch)
    assert passes(sent)
    assert len(sent) < 8000, "of the 16 KB that HAProxy takes for all headers"


def test_the_proxy_lets_nothing_else_through(monkeypatch: pytest.MonkeyPatch) -> None:
    good = query(["abc", "de1"], monkeypatch)
    others = [
        "",
        "all=1",
        good.replace("abc", ""),
        good.replace("abc", ".*"),
        good.replace("abc", "%2E%2A"),
        good.replace("%5E", ""),
        good.replace("%24", ""),
        good.replace("%22id%22", "%22type%22"),
        good.replace("%22%5D%7D", "%22%2C%22%22%5D%7D"),
        good.replace("%22%5D%7D", "%22%5D%2C%22until%22%3A%5B%221s%22%5D%7D"),
        f"filters=%7B%7D&{good}",
        f"{good}&filters=%7B%7D",
        f"{good}&keep-storage=0",
        good.replace("all=1&", "all=1%26"),
        good.replace("de1", "%7C".join(IDS)),
    ]
    assert [each for each in others if passes(each)] == []
    assert "http-request allow if may_write { method POST } prunes by_ids !has_body\n" in PROXY
