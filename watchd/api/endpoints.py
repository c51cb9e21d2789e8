"""JSON endpoints of the API (docs/api.md). They only read."""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from watchd.api.disk_course import SHOWN, courses
from watchd.api.preview import BeingMade, Preview
from watchd.cleanup.plan.plan import Item, Plan
from watchd.cleanup.plan.rules.watermarks import disks_as_json
from watchd.config.schedules import quiet_until
from watchd.engine.data import disks
from watchd.errors import WatchdError
from watchd.http.answers import as_json, as_long_json
from watchd.http.application import Query, Response, Routes
from watchd.metrics.recent.networks import NetworkOverview
from watchd.metrics.recent.overview import TAIL, Overview
from watchd.model import amount_as_json, total
from watchd.model.history.timeline import DiskMark
from watchd.store.tables.rows import LastRun

_NO_COURSE: Mapping[str, Any] = {"course": [], "full_at": None}
_NextRun = Callable[[], tuple[float, frozenset[str]] | None]


class Api:
    """Endpoints about the engine, containers, networks, disks and runs.

    `next_run` returns the time of the next run and its policies, `last_runs` the last run of each policy, `disk_marks`
    how full the disks were since a time.
    """

    def __init__(  # noqa: PLR0913 - what these endpoints tell of
        self,
        overview: Overview,
        networks: NetworkOverview,
        preview: Preview,
        *,
        next_run: _NextRun,
        last_runs: Callable[[], Mapping[str, LastRun]],
        disk_marks: Callable[[float], Sequence[DiskMark]],
    ) -> None:
        self._overview = overview
        self._preview = preview
        self._next_run = next_run
        self._last_runs = last_runs
        self._disk_marks = disk_marks
        self.routes: Routes = {
            "/api/v1/engine": lambda _: as_json(self._overview.engine()),
            "/api/v1/containers": lambda _: as_long_json(self._overview.containers()),
            "/api/v1/series": self._series,
            "/api/v1/networks": lambda _: as_long_json(networks.networks()),
            "/api/v1/disk": errors_as_json(self._disk),
            "/api/v1/next": errors_as_json(self._next),
        }

    def _series(self, query: Query) -> Response:
        if "id" not in query:
            points = query.get("points", str(TAIL))
            if not re.fullmatch("[1-9][0-9]{0,3}", points):
                return as_json({"error": "points: a whole number from 1 on"}, HTTPStatus.BAD_REQUEST)
            return as_long_json(self._overview.tails(int(points)))
        series = self._overview.series(query["id"])
        if series is None:
            return as_json({"error": "no container has this ID"}, HTTPStatus.NOT_FOUND)
        return as_json(series)

    def _disk(self, _: Query) -> Response:
        prepared = self._preview.plan()
        measured = disks_as_json(disks.all_again(prepared.view.disks), prepared.cleanup)
        now = time.time()
        known = courses(self._disk_marks(now - SHOWN), now)
        disks_told = [{**disk, **known.get(disk["path"], _NO_COURSE)} for disk in measured]
        return as_json({"disks": disks_told, "unmeasured": prepared.view.unmeasured})

    def _next(self, _: Query) -> Response:
        due = self._next_run()
        failed = self._failed()
        if due is None:
            forecast: dict[str, Any] = {"planned_at": None, "would_remove": {}, "would_report": {}}
            return as_json({"at": None, "policies": [], **forecast, "failed": failed})
        at, policies = due
        prepared = self._preview.plan()
        cleanup = prepared.cleanup
        # A run that is due in quiet hours takes place at their end.
        at = quiet_until(cleanup.quiet_hours, at, cleanup.timezone) or at
        return as_json({"at": at, "policies": sorted(policies), **_forecast(prepared.plan, policies), "failed": failed})

    def _failed(self) -> list[dict[str, Any]]:
        """Return the policies whose last run failed, or did not come to its end."""
        runs = self._last_runs()
        return [
            {"policy": policy.name, "ran_at": run.ran, "succeeded_at": run.succeeded}
            for policy in self._preview.cleanup.policies
            if (run := runs.get(policy.name)) and run.succeeded != run.ran
        ]


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
