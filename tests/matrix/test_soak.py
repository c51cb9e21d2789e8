"""`make soak`, for three minutes: watchd loses nothing in them."""

from pathlib import Path

from tests.harness.engine import Engine
from tests.soak.compare import soak


def test_nothing_is_lost(clean_engine: Engine, tmp_path: Path) -> None:
    result = soak(clean_engine, tmp_path, minutes=3, seed=7)
    assert not result.lost, "\n".join([*result.lines, *result.lost])
