"""Metrics of the engine's objects: the size of each volume."""

import pytest

from tests.unit.cleanup.builders import volume
from watchd.engine.watch.mirror import Mirror
from watchd.metrics.exposition import text_of
from watchd.metrics.selfmon import objects
from watchd.metrics.selfmon.objects import ObjectMetrics
from watchd.model import DiskUsage

DATA = volume("shop_data", labels={"com.docker.compose.project": "shop"})
CACHE, NEW = volume("cache"), volume("new")


@pytest.fixture
def mirror() -> Mirror:
    mirror = Mirror()
    mirror.replace(volumes=(DATA, CACHE, NEW), sizes=DiskUsage({}, volumes={"shop_data": 70, "cache": 7, "gone": 9}))
    return mirror


def lines(mirror: Mirror) -> list[str]:
    return [line for line in text_of(ObjectMetrics(mirror).collect()).splitlines() if line.startswith("watchd_volume")]


def test_each_volume_has_its_size_as_soon_as_that_is_known(mirror: Mirror) -> None:
    found = lines(mirror)
    assert 'watchd_volume_bytes{compose_project="shop",volume="shop_data"} 70.0' in found
    assert 'watchd_volume_bytes{compose_project="",volume="cache"} 7.0' in found
    assert "watchd_volumes_left_out 0.0" in found
    assert not any("new" in line or "gone" in line for line in found)


def test_of_too_many_the_largest_have_one(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MOST_VOLUMES", 1)
    found = lines(mirror)
    assert [line for line in found if line.startswith("watchd_volume_bytes")] == [
        'watchd_volume_bytes{compose_project="shop",volume="shop_data"} 70.0'
    ]
    assert "watchd_volumes_left_out 1.0" in found


def test_without_sizes_there_is_no_series(mirror: Mirror) -> None:
    mirror.replace(sizes=None)
    assert not any(line.startswith(("watchd_volume_bytes", "watchd_volumes_left_out")) for line in lines(mirror))
