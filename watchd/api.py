"""What the HTTP server tells besides metrics, as JSON: docs/api.md has it all. Nothing here changes anything."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from watchd.cron import quiet_until
from watchd.engine import disk
from watchd.errors import WatchdError
from watchd.metrics.overview import Overview
from watchd.preview import BeingMade, Preview
from watchd.prune.plan import Item, Plan
from watchd.prune.pressure import marked
from watchd.web.answers import as_json, as_long_json
from watchd.web.application import Query, Response, Routes

_NextRun = Callable[[], tuple[float, frozenset[str]] | None]


class Api:
    """Answers from what the daemon knows. `next_run` tells when policies run next, and which."""

    def __init__(self, overview: Overview, preview: Preview, next_run: _NextRun) -> None:
        self._overview = overview
        self._preview = preview
        self._next_run = next_run
        self.routes: Routes = {
            "/api/v1/containers": lambda _: as_long_json(self._overview.containers()),
            "/api/v1/series": self._series,
            "/api/v1/disk": unless_it_fails(self._disk),
            "/api/v1/next": unless_it_fails(self._next),
        }

    def _series(self, query: Query) -> Response:
        if "id" not in query:
            return as_long_json(self._overview.tails())
        series = self._overview.series(query["id"])
        if series is None:
            return as_json({"error": "there is no container with this ID"}, HTTPStatus.NOT_FOUND)
        return as_json(series)

    def _disk(self, _: Query) -> Response:
        prepared = self._preview.plan()
        return as_json({"disks": marked(disk.all_again(prepared.snapshot.disks), prepared.cleanup)})

    def _next(self, _: Query) -> Response:
        due = self._next_run()
        if due is None:
            return as_json({"at": None, "policies": [], "planned_at": None, "would_remove": {}, "would_report": {}})
        at, policies = due
        prepared = self._preview.plan()
        cleanup = prepared.cleanup
        # What comes due in quiet hours is made up for when they end.
        at = quiet_until(cleanup.quiet_hours, at, cleanup.timezone) or at
        return as_json({"at": at, "policies": sorted(policies), **_foreseen(prepared.plan, policies)})


def _foreseen(plan: Plan, policies: Iterable[str]) -> dict[str, Any]:
    """What some policies would remove, by the plan for all of them as it stands now."""
    due = frozenset(policies)
    going = [item for item in plan.items if item.action == "remove" and item.policy in due]
    return {
        "planned_at": plan.created_at,
        "would_remove": _counted(item for item in going if item.in_force),
        "would_report": _counted(item for item in going if not item.in_force),
    }


def _counted(items: Iterable[Item]) -> dict[str, dict[str, int]]:
    counted: dict[str, dict[str, int]] = {}
    for item in items:
        of_kind = counted.setdefault(item.kind, {"count": 0, "bytes": 0})
        of_kind["count"] += 1
        of_kind["bytes"] += item.bytes
    return counted


def unless_it_fails(route: Callable[[Query], Response]) -> Callable[[Query], Response]:
    """Have an answer of 503 where engine or state are not there to answer from, of 202 where they are being asked."""

    def answer(query: Query) -> Response:
        try:
            return route(query)
        except BeingMade as error:
            return as_json({"error": str(error)}, HTTPStatus.ACCEPTED)
        except WatchdError as error:
            return as_json({"error": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE)

    return answer
