"""The host's table of tracked connections."""

from pathlib import Path

from watchd.metrics.exposition import text_of
from watchd.metrics.host.conntrack import Conntrack


def test_use_and_limit_are_told(tmp_path: Path) -> None:
    (tmp_path / "sys/net/netfilter").mkdir(parents=True)
    (tmp_path / "1/net/stat").mkdir(parents=True)
    (tmp_path / "sys/net/netfilter/nf_conntrack_max").write_text("262144\n")
    (tmp_path / "1/net/stat/nf_conntrack").write_text("entries  drop\n0000001f  0000000a\n")
    lines = text_of(Conntrack(tmp_path, lambda: True).collect()).splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "watchd_host_conntrack_entries 31.0",
        "watchd_host_conntrack_entries_limit 262144.0",
        "watchd_host_conntrack_drops_total 10.0",
    ]


def test_a_host_that_tracks_none_has_no_series(tmp_path: Path) -> None:
    assert list(Conntrack(tmp_path, lambda: True).collect()) == []


def test_an_engine_on_another_machine_has_none_here(tmp_path: Path) -> None:
    assert list(Conntrack(tmp_path, lambda: False).collect()) == []
