"""Builders of the daemon's replies about containers."""

from typing import Any

from watchd.top.columns import Snapshot

NOW = 1_800_000_000.0
GB = 1000**3


def row(name: str = "web", **told: Any) -> dict[str, Any]:
    """A container, as `/api/v1/containers` has it."""
    return {
        "id": f"id-of-{name}",
        "name": name,
        "image": "shop:1",
        "state": "running",
        "health": None,
        "restarts": 0,
        "oom_killed": False,
        "exit_code": None,
        "created_at": NOW - 7200,
        "started_at": NOW - 3600,
        "finished_at": None,
        "compose_project": None,
        "volumes": [],
        "compose_service": None,
        "cpu_cores": 0.5,
        "cpu_limit_cores": None,
        "throttled": None,
        "memory_bytes": 100_000_000,
        "memory_limit_bytes": None,
        "network_receive_bytes_per_second": 1000.0,
        "network_transmit_bytes_per_second": 2000.0,
        "disk_read_bytes_per_second": 0.0,
        "disk_write_bytes_per_second": 4096.0,
        "processes": 3,
        **told,
    }


def stopped(name: str, **told: Any) -> dict[str, Any]:
    """A container that ended, of which nothing is known any more but that."""
    unknown = dict.fromkeys(key for key in row() if "bytes" in key or key in ("cpu_cores", "processes"))
    return row(name, **{"state": "exited", "exit_code": 0, **unknown, **told})


def tail(**series: list[float | None]) -> dict[str, Any]:
    """The last points of a container."""
    return {"end": NOW, "step": 15.0, "series": {"cpu_cores": [], "memory_bytes": [], **series}}


def snapshot(*rows: dict[str, Any], **further: Any) -> Snapshot:
    """All that is known at one moment, of a host with 4 CPUs and 10 GB."""
    return Snapshot(
        containers={
            "at": NOW,
            "source": "cgroup",
            "engine": {"name": "host1", "version": "28.5.2"},
            "host": {"cpus": 4, "cpu_cores": 1.0, "memory_bytes": 10 * GB, "memory_used_bytes": 2 * GB},
            "containers": list(rows),
        },
        **further,
    )
