"""Answers of the API for a host with any number of containers, for looking at the page and for measuring it."""

import math
import random
import re
import time
from typing import Any

from playwright.sync_api import Page, Route

NOW = 1_790_000_000.0
PROJECTS = ("shop", "mail", "wiki", "ci", "metrics", "media", "search", "billing", "auth", "queue", "staging", "web")
SERVICES = ("api", "web", "worker", "db", "cache", "scheduler", "proxy", "metrics-exporter-with-a-long-name")
POINTS = 60
_SHOWN = ("id", "name", "state", "health", "oom_killed", "exit_code", "ports")  # of a container on a network


def answers(count: int, now: float = NOW) -> dict[str, Any]:
    """Return the answers by the path of their endpoint. The same for the same count."""
    dice = random.Random(count)  # noqa: S311 - the same numbers each time
    rows = [_row(dice, number, now) for number in range(count)]
    engine = {"engine": {"name": "host-1", "version": "28.5.2"}, "engine_up": True}
    return {
        "engine": engine,
        "containers": {
            "at": now,
            "source": "cgroup",
            **engine,
            "host": {
                "cpus": 16,
                "cpu_cores": sum(row["cpu_cores"] or 0 for row in rows),
                "memory_bytes": 64 << 30,
                "memory_used_bytes": 23 << 30,
            },
            "containers": rows,
        },
        "series": {"containers": {row["id"]: _tail(dice, row, now) for row in rows if row["state"] == "running"}},
        "networks": {"at": now, "networks": _networks(rows)},
        "disk": {
            "disks": [
                {
                    "path": "/var/lib/docker",
                    "size_bytes": 500_000_000_000,
                    "used_bytes": 371_000_000_000,
                    "marks": [{"policy": "images-when-full", "high": 425_000_000_000, "low": 375_000_000_000}],
                    "course": [[now - 3600 * hour, 371_000_000_000 - 170_000_000 * hour] for hour in range(168, 0, -1)],
                    "full_at": now + 9 * 86400,
                }
            ],
            "unmeasured": {},
        },
        "next": {
            "at": now + 4000,
            "policies": ["exited-containers", "dangling-images"],
            "planned_at": now,
            "would_remove": {"container": {"count": 3, "bytes": 12_000_000, "at_least": False}},
            "would_report": {},
            "failed": [{"policy": "old-volumes", "ran_at": now - 5000, "succeeded_at": now - 90_000}],
        },
    }


def advice(now: float = NOW) -> dict[str, Any]:
    """Return what `advice` answers where 42 days tell of containers and images, and too little of the rest is known."""
    none: dict[str, Any] = {
        "removed": None,
        "decided": None,
        "mean_bytes": None,
        "regrets": None,
        "regretted_bytes": None,
    }
    hours = (1, 6, 12, 24, 48, 72, 120, 168, 216, 336, 720, 1440, 2160)

    def thresholds(most_kept: int, regrets: tuple[int, ...]) -> list[dict[str, Any]]:
        known = [
            {
                "seconds": hour * 3600,
                "removed": 340 - 9 * place,
                "decided": 311 - 9 * place,
                "mean_bytes": most_kept * (place + 2) // 14,
                "regrets": count,
                "regretted_bytes": count * 160_000_000,
            }
            for place, (hour, count) in enumerate(zip(hours, regrets, strict=False))
        ]
        return known + [{"seconds": hour * 3600, **none} for hour in hours[len(known) :]]

    little = (
        "Too little is known to recommend anything. A threshold needs at least 20 decided removals, and"
        " may be at most half the watched time."
    )
    nothing = {
        "thresholds": thresholds(0, ()),
        "recommended": None,
        "note": little,
        "today_seconds": [],
        "mean_bytes": 0,
    }
    toml = """\
# In 42d 0 of 239 images were needed again after 9d without use.
[[cleanup.policies]]
name = "unused-images"
kind = "image"
when.unused_for = "9d"
"""
    image = {
        "thresholds": thresholds(41_000_000_000, (96, 61, 44, 29, 17, 9, 4, 1, 0, 0)),
        "recommended": {"seconds": 216 * 3600, "toml": toml},
        "note": None,
        "today_seconds": [7 * 86400],
        "mean_bytes": 41_000_000_000,
    }
    container = {
        "thresholds": thresholds(900_000_000, (9, 8, 8, 7, 6, 5, 3, 2, 2, 1)),
        "recommended": None,
        "note": "Each threshold with a value had more than 0 regrets: nothing is recommended.",
        "today_seconds": [86400, 100 * 86400],
        "mean_bytes": 1_100_000_000,
    }
    return {
        "state": "ready",
        "started_at": now - 12,
        "computed_at": now,
        "error": None,
        "advice": {
            "since": "2026-08-10T04:00:00Z",
            "until": "2026-09-21T04:00:00Z",
            "unwatched_seconds": 7300,
            "regret_window_seconds": 14 * 86400,
            "kinds": {"container": container, "image": image, "network": nothing, "volume": nothing},
            "disks": [
                {
                    "path": "/var/lib/docker",
                    "size_bytes": 500_000_000_000,
                    "peak_bytes": 371_000_000_000,
                    "growth_bytes": 9_000_000_000,
                    "high_percent": 92,
                    "low_percent": 87,
                }
            ],
        },
    }


def _row(dice: random.Random, number: int, now: float) -> dict[str, Any]:
    project = PROJECTS[number // 9 % len(PROJECTS)] + (f"-{number // 108}" if number >= 108 else "")
    is_alone = number % 9 == 8
    service = SERVICES[number % len(SERVICES)]
    state = "exited" if number % 7 == 6 else "restarting" if number % 97 == 40 else "running"
    runs = state == "running"
    limit = dice.choice([None, 0.2, 0.5, 2.0])
    memory_limit = dice.choice([None, 256 << 20, 512 << 20, 2 << 30])
    cpu = dice.random() ** 3 * (limit or 1.5)
    memory = int((memory_limit or 1 << 30) * (0.95 if number % 61 == 5 else dice.random() * 0.8))
    return {
        "id": f"{number + 0xABC:064x}",
        "name": f"job-{number}" if is_alone else f"{project}-{service}-1",
        "image": f"registry.example/{project}/{service}:{number % 5}.{number % 3}",
        "state": state,
        "health": dice.choice([None, "healthy", "healthy"])
        if runs and number % 53 != 11
        else "unhealthy"
        if runs
        else None,
        "restarts": 7 if state == "restarting" else dice.choice([0, 0, 0, 1]),
        "restart_policy": "no" if is_alone else "unless-stopped",
        "oom_killed": state == "exited" and number % 21 == 13,
        "exit_code": None if runs else dice.choice([0, 0, 1, 137]) if state == "exited" and is_alone else 0,
        "created_at": now - 90_000 - number,
        "started_at": now - 8000 * (1 + number % 9),
        "finished_at": None if runs else now - 3000,
        "compose_project": None if is_alone else project,
        "compose_service": None if is_alone else service,
        "volumes": [],
        "cpu_cores": round(cpu, 4) if runs else None,
        "cpu_limit_cores": limit if runs else None,
        "throttled": (0.38 if number % 29 == 3 else 0.0) if runs and limit else None,
        "memory_bytes": memory if runs else None,
        "memory_limit_bytes": memory_limit if runs else None,
        "network_receive_bytes_per_second": dice.random() ** 4 * 1e6 if runs else None,
        "network_transmit_bytes_per_second": dice.random() ** 4 * 1e6 if runs else None,
        "disk_read_bytes_per_second": 0.0 if runs else None,
        "disk_write_bytes_per_second": dice.random() ** 4 * 1e5 if runs else None,
        "log_bytes": number * 7_000_000,
        "log_limit_bytes": 30_000_000_000 if number % 5 else 0,
        "log_growth_bytes_per_hour": 60_000_000.0 if number % 50 == 25 else 0.0,
        "processes": dice.randint(1, 40) if runs else None,
        "processes_limit": None,
        "networks": [f"{project}_default"],
        "ports": _ports(number) if runs and service in ("web", "proxy") else [],
    }


def _ports(number: int) -> list[dict[str, Any]]:
    return [{"port": "80/tcp", "host_ip": address, "host_port": 8000 + number} for address in ("::", "127.0.0.1")]


def _tail(dice: random.Random, row: dict[str, Any], now: float) -> dict[str, Any]:
    phase = dice.random() * 6

    def course(level: float, share: float) -> list[float]:
        swing = [1 + share * math.sin(phase + point / 5) + share * dice.random() for point in range(POINTS)]
        return [round(level * each, 4) for each in swing]

    received = row["network_receive_bytes_per_second"] + row["network_transmit_bytes_per_second"]
    return {
        "end": now // 15 * 15,
        "step": 15.0,
        "series": {
            "cpu_cores": course(row["cpu_cores"], 0.7),
            "memory_bytes": course(row["memory_bytes"], 0.03),
            "network_bytes_per_second": course(received, 0.9),
        },
    }


def _networks(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    members: dict[str, list[dict[str, Any]]] = {"bridge": [], "proxy": []}
    for number, row in enumerate(rows):
        names = ["bridge"] if row["compose_project"] is None else [f"{row['compose_project']}_default"]
        if row["compose_service"] == "proxy":
            names.append("proxy")
        for name in names:
            place = len(members.setdefault(name, [])) + 2
            address = f"172.{18 + len(members) % 100}.{place // 256}.{place % 256}" if row["state"] == "running" else ""
            flows = {key: row[key] for key in ("network_receive_bytes_per_second", "network_transmit_bytes_per_second")}
            entry = {"ipv4": address, "ipv6": "", "shared_by": [], **flows}
            members[name].append({**{key: row[key] for key in _SHOWN}, **entry})
            if number % 50 == 49:
                members[name][-1]["shared_by"] = ["vpn"]
    return [
        {
            "id": f"{number:064x}",
            "name": name,
            "driver": "bridge",
            "scope": "local",
            "internal": name == "mail_default",
            "subnets": [f"172.{18 + number % 200}.0.0/16"],
            "compose_project": None,
            "containers": containers,
        }
        for number, (name, containers) in enumerate(sorted(members.items(), key=lambda each: -len(each[1])))
    ]


def tell_of(page: Page, count: int) -> None:
    """Have the API tell a page of so many containers."""
    told = answers(count, time.time())

    def answer(route: Route) -> None:
        name = route.request.url.partition("/api/v1/")[2].partition("?")[0]
        route.fulfill(json=told[name])

    page.route(re.compile("/api/v1/(" + "|".join(told) + r")(\?|$)"), answer)
