"""The request that removes records of the build cache, and what the proxy of `deploy/compose` lets through of it."""

import json
import re
from collections.abc import Sequence
from itertools import cycle
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from tests import ROOT
from watchd.config.schema.config import Engine
from watchd.engine.client import EngineClient
from watchd.engine.decode.fields import MalformedReply
from watchd.engine.decode.quirks import API_WITH_PRUNE_UNTIL_A_TIME
from watchd.engine.decode.system import MOST_RECORDS, matching_records
from watchd.model import CacheRecord

IDS = [f"{number:025x}" for number in range(MOST_RECORDS)]
PROXY = (ROOT / "deploy/compose/haproxy.cfg").read_text()


def query(
    ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    used: Sequence[float | None] = (None,),
    api: tuple[int, ...] = API_WITH_PRUNE_UNTIL_A_TIME,
) -> str:
    """Return the query that the client sends for records, by an engine's API; `used` has their last uses, in turn."""
    sent: list[Any] = []

    def reply(*_: Any, params: Any, **__: Any) -> Any:
        sent.append(params)
        return {"CachesDeleted": ids}

    client = EngineClient(Engine(), read_only=False)
    monkeypatch.setattr(client, "_json", reply)
    monkeypatch.setattr(client, "_api_version", lambda: api)
    records = [CacheRecord(id_, last_used_at=at) for id_, at in zip(ids, cycle(used), strict=False)]
    assert client.prune_build_cache(records) == ids
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


@pytest.mark.parametrize(
    ("used", "until"),
    [([5.0, 7.25, None], ["8"]), ([7.0], ["8"]), ([1.8e9 + 0.999999], ["1800000001"]), ([None], None)],
)
def test_it_leaves_what_is_used_after_these_records(
    used: list[float | None], until: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's times have nanoseconds, and watchd's microseconds: "not after" must hold for each of them."""
    sent = parse_qs(query(["abc", "de1", "fg2"], monkeypatch, used=used))
    assert json.loads(sent["filters"][0]) == {"id": ["^(abc|de1|fg2)$"], **({"until": until} if until else {})}


def test_an_engine_that_knows_durations_alone_gets_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "until" not in query(["abc"], monkeypatch, used=[7.0], api=(1, 43))
    assert "until" in query(["abc"], monkeypatch, used=[7.0], api=(1, 44))


@pytest.mark.parametrize("number", [1, 2, MOST_RECORDS])
@pytest.mark.parametrize("used", [None, 1.8e9])
def test_the_proxy_lets_it_through(number: int, used: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = query(IDS[:number], monkeypatch, used=[used])
    assert passes(sent)
    assert len(sent) < 8000, "of the 16 KB that HAProxy takes for all headers"


def test_the_proxy_lets_nothing_else_through(monkeypatch: pytest.MonkeyPatch) -> None:
    good = query(["abc", "de1"], monkeypatch)
    timed = query(["abc", "de1"], monkeypatch, used=[1.8e9])
    assert "%22until%22%3A%5B%221800000001%22%5D" in timed
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
        timed.replace("1800000001", ""),
        timed.replace("1800000001", "1800000001s"),
        timed.replace("1800000001", "1800000001%22%2C%221"),
        timed.replace("until", "unused-for"),
        timed.replace("%22id%22", "%22type%22"),
        timed.replace("abc", ""),
        f"all=1&filters=%7B{timed.partition('%2C')[2]}",
        f"{timed}&keep-storage=0",
        f"filters=%7B%7D&{good}",
        f"{good}&filters=%7B%7D",
        f"{good}&keep-storage=0",
        good.replace("all=1&", "all=1%26"),
        good.replace("de1", "%7C".join(IDS)),
    ]
    assert [each for each in others if passes(each)] == []
    assert "http-request allow if may_write { method POST } prunes by_ids !has_body\n" in PROXY
