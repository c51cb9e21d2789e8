"""`make soak`, for some seconds: that it works, and that watchd loses nothing in them."""

from pathlib import Path

from tests.harness.engine import Engine
from tests.soak.compare import soak


def test_nothing_is_lost(clean_engine: Engine, tmp_path: Path) -> None:
    told = soak(clean_engine, tmp_path, minutes=0.3, seed=7)
    assert told.lost == [], told.lines
