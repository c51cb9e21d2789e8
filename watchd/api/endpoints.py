"""JSON endpoints of the API (docs/api.md). They only read."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from watchd.api.preview import BeingMade, Preview
from watchd.cleanup.plan.plan import Item, Plan
from watchd.cleanup.plan.rules.watermarks import disks_as_json
from watchd.config.cron import quiet_until
from watchd.engine import disks
from watchd.errors import WatchdError
from watchd.http.answers import as_json, as_long_json
from watchd.http.application import Query, Response, Routes
from watchd.metrics.recent.overview import Overview
from watchd.model import amount_as_json, total

_NextRun = Callable[[], tuple[float, frozenset[str]] | None]


class Api:
    """Endpoints about containers, disks and the next run. `next_run` returns its time and policies."""

    def __init__(self, overview: Overview, preview: Preview, next_run: _NextRun) -> None:
        self._overview = overview
        self._preview = preview
        self._next_run = next_run
        self.routes: Routes = {
            "/api/v1/containers": lambda _: as_long_json(self._overview.containers()),
            "/api/v1/series": self._series,
            "/api/v1/disk": errors_as_json(self._disk),
            "/api/v1/next": errors_as_json(self._next),
        }

    def _series(self, query: Query) -> Response:
        if "id" not in query:
            return as_long_json(self._overview.tails())
        series = self._overview.series(query["id"])
        if series is None:
            return as_json({"error": "no container has this ID"}, HTTPStatus.NOT_FOUND)
        return as_json(series)

    def _disk(self, _: Query) -> Response:
        prepared = self._preview.plan()
        measured = disks_as_json(disks.all_again(prepared.view.disks), prepared.cleanup)
        return as_json({"disks": measured, "unmeasured": prepared.view.unmeasured})

    def _next(self, _: Query) -> Response:
        due = self._next_run()
        if due is None:
            return as_json({"at": None, "policies": [], "planned_at": None, "would_remove": {}, "would_report": {}})
        at, policies = due
        prepared = self._preview.plan()
        cleanup = prepared.cleanup
        # A run that is due in quiet hours takes place at their end.
        at = quiet_until(cleanup.quiet_hours, at, cleanup.timezone) or at
        return as_json({"at": at, "policies": sorted(policies), **_forecast(prepared.plan, policies)})


def _forecast(plan: Plan, policies: Iterable[str]) -> dict[str, Any]:
    """Count what these policies would remove, from the current plan of all policies."""
    due = frozenset(policies)
    removals = [item for item in plan.items if item.action == "remove" and item.policy in due]
    return {
        "planned_at": plan.created_at,
        "would_remove": _counted(item for item in removals if item.in_force),
        "would_report": _counted(item for item in removals if not item.in_force),
    }


def _counted(items: Iterable[Item]) -> dict[str, dict[str, Any]]:
    by_kind: dict[str, list[Item]] = {}
    for item in items:
        by_kind.setdefault(item.kind, []).append(item)
    return {kind: {"count": len(of_kind), **amount_as_json(total(of_kind))} for kind, of_kind in by_kind.items()}


def errors_as_json(route: Callable[[Query], Response]) -> Callable[[Query], Response]:
    """Answer errors of a route as JSON: 503, or 202 while the answer is being prepared."""

    def answer(query: Query) -> Response:
        try:
            return route(query)
        except BeingMade as error:
            return as_json({"error": str(error)}, HTTPStatus.ACCEPTED)
        except WatchdError as error:
            return as_json({"error": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE)

    return answer
