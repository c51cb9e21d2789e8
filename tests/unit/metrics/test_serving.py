"""The whole page of a scrape, of an engine that is away."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.conftest import Host
from tests.unit.settings import checked
from watchd.config import Config
from watchd.engine.client import EngineClient
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.watcher import Watch
from watchd.gzipped import decompressed
from watchd.metrics.containers.collector import ContainerCollector
from watchd.metrics.serving import Metrics
from watchd.model.usage import Sample
from watchd.runtime import turns

COLLECTORS = {"containers", "host", "engine", "objects", "engine_disk", "exits", "machine", "own_process"}
FILES = ("stat", "meminfo", "vmstat", "diskstats", "net/dev", "mountinfo")


@pytest.fixture
def root(v2_host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's /proc and cgroups, which a test may change."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", "/proc")  # restored afterwards
    shutil.copytree(v2_host.procfs, tmp_path / "proc")
    shutil.copytree(v2_host.cgroupfs, tmp_path / "cgroup")
    for name in FILES:
        of_process = name in ("net/dev", "mountinfo")
        target = tmp_path / "proc" / (f"1/{name}" if of_process else name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path("/proc/self" if of_process else "/proc", name).read_bytes())
    return tmp_path


def _metrics(root: Path) -> Metrics:
    config = checked(
        Config,
        {
            "engine": {"host": f"unix://{root}/nowhere"},
            "metrics": {"source": "api", "procfs": root / "proc", "cgroupfs": root / "cgroup"},
        },
    )
    client = EngineClient(config.engine, read_only=True)
    return Metrics(config, client, Watch(client, Mirror()))


def _values(page: bytes) -> Mapping[str, Mapping[tuple[str, ...], float]]:
    families = text_string_to_metric_families(decompressed(page).decode())
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples} for family in families
    }


def test_every_collector_tells_its_success(root: Path) -> None:
    metrics = _metrics(root)
    page = _values(metrics.page())
    metrics.close()

    assert page["watchd_scrape_collector_success"] == {(name,): 1 for name in COLLECTORS}
    assert page["watchd_scrape_collector_duration_seconds"].keys() == {(name,) for name in COLLECTORS}
    assert not any(page["watchd_scrape_errors"].values())
    for name in (
        "container_last_seen",
        "watchd_engine_up",
        "watchd_build_info",
        "process_open_fds",
        "machine_cpu_cores",
    ):
        assert page[name]


def test_others_give_way_to_a_scrape(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, gone_first = ContainerCollector.collect, []

    def collect(self: ContainerCollector, now: float) -> list[Sample]:
        gone_first.append(not turns._free.is_set())
        return read(self, now)

    monkeypatch.setattr(ContainerCollector, "collect", collect)
    metrics = _metrics(root)
    metrics.page()
    metrics.close()

    assert gone_first == [True]
    assert turns._free.is_set()


def test_what_cannot_be_read_of_the_host_and_the_machine_is_counted_at_each_scrape(root: Path) -> None:
    (root / "proc/meminfo").unlink()
    metrics = _metrics(root)
    metrics.page()
    page = _values(metrics.page())
    metrics.close()

    errors = {source: count for (source,), count in page["watchd_scrape_errors"].items() if count}
    assert errors == {"host_spec": 2, "host_memory": 2, "machine": 2}
    failed = {name for (name,), success in page["watchd_scrape_collector_success"].items() if not success}
    assert failed == {"host", "machine"}


def test_a_proc_that_has_processes_alone_costs_the_host_and_the_machine(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As with the mount option subset=pid."""
    for name in ("stat", "meminfo", "vmstat", "diskstats", "partitions"):
        (root / "proc" / name).unlink()
    (root / "proc/self/mountinfo").write_text(f"85 83 0:60 / {root}/proc rw,relatime - proc proc rw,subset=pid\n")
    metrics = _metrics(root)
    page = _values(metrics.page())
    metrics.close()

    assert "subset=pid: the host's metrics, machine_* and the names of disks are missing" in caplog.text
    assert "machine_cpu_cores" not in page
    assert not any(page["watchd_scrape_errors"].values())
    assert all(page["watchd_scrape_collector_success"].values())


def test_a_bug_in_what_reads_containers_costs_them_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: ContainerCollector, __: float) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ContainerCollector, "collect", broken)
    metrics = _metrics(root)
    page = _values(metrics.page())
    metrics.close()

    assert "container_last_seen" not in page
    assert page["watchd_scrape_collector_success"]["containers",] == 0
    assert page["watchd_scrape_errors"]["containers",] == 1
    assert page["machine_cpu_cores"]
