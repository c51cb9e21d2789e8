"""Files of the page at `/`, and the endpoints made for it (docs/api.md). They only read."""

import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

from watchd.api.endpoints import errors_as_json
from watchd.api.preview import Preview
from watchd.api.survey import Survey
from watchd.cleanup import report
from watchd.cleanup.plan.explain import NoSuchObject, find_one
from watchd.cleanup.plan.plan import KINDS
from watchd.engine.decode.quirks import exit_code
from watchd.engine.watch.recent_events import CONTAINER_NAME, HEALTH, LastEvents
from watchd.errors import UsageError
from watchd.http import files
from watchd.http.answers import as_json, as_long_json
from watchd.http.application import Query, Response, Routes
from watchd.model import Event
from watchd.runtime.gc import gc_paused
from watchd.store import Store, last_walk
from watchd.units import parse_past

MAX_ROWS = 5000  # of the history
_DEFAULT_PERIOD = "30d"
_MAX_AGE = 10.0  # seconds of a plan that lacks an object; an older one is made anew


class Page:
    """Endpoints about plan, history, disk usage and events, and the files of the page.

    `directory` is that of the state, where `df --deep` leaves its result.
    """

    def __init__(self, preview: Preview, survey: Survey, store: Store, events: LastEvents, directory: Path) -> None:
        self._preview = preview
        self._survey = survey
        self._store = store
        self._events = events
        self._rendered: tuple[str, Response] | None = None  # plan ID and its JSON, which is slow to encode
        self.routes: Routes = {
            **files.routes(),
            "/api/v1/plan": errors_as_json(self._plan),
            "/api/v1/explain": errors_as_json(self._explain),
            "/api/v1/history": errors_as_json(self._history),
            "/api/v1/usage": errors_as_json(lambda _: as_json(self._survey.accounts().as_json())),
            "/api/v1/deep": lambda _: as_json({"last": last_walk.load(directory)}),
            "/api/v1/events": lambda _: as_json({"events": [_event(each) for each in self._events.current()]}),
        }

    def _plan(self, _: Query) -> Response:
        plan = self._preview.plan().plan
        rendered = self._rendered
        if rendered is None or rendered[0] != plan.plan_id:
            with gc_paused():
                rendered = self._rendered = plan.plan_id, as_long_json(plan.as_json())
        return rendered[1]

    def _explain(self, query: Query) -> Response:
        reference = query.get("ref")
        kind = next((kind for kind in KINDS if kind == query.get("kind")), None)
        if not reference or (kind is None and "kind" in query):
            return _bad_request(f"explain?kind=KIND&ref=REF, with a kind of {', '.join(KINDS)}, or without one")
        prepared = self._preview.plan()
        try:
            try:
                subject = find_one(prepared.view, reference, kind)
            except NoSuchObject:
                prepared = self._preview.plan(at_most=_MAX_AGE)  # it may be newer than the plan
                subject = find_one(prepared.view, reference, kind)
        except NoSuchObject as error:
            return as_json({"error": str(error)}, HTTPStatus.NOT_FOUND)
        except UsageError as error:
            return _bad_request(str(error))
        regret = self._store.last_regret(prepared.view.engine.id, subject)
        return as_json(report.explanation_as_json(prepared.explain(subject, regret)))

    def _history(self, query: Query) -> Response:
        try:
            since = parse_past(query.get("since", _DEFAULT_PERIOD), time.time())
        except ValueError as error:
            return _bad_request(f"since: {error}")
        regretted = query.get("regretted") == "true"
        with gc_paused():
            rows = self._store.removals(since=since, most=MAX_ROWS, regretted=regretted)
            count = len(rows) if len(rows) < MAX_ROWS else self._store.count_removals(since=since, regretted=regretted)
            # Labels stay in the state: [metrics] decides which ones are published.
            shown = [{name: value for name, value in row.as_json().items() if name != "labels"} for row in rows]
            return as_long_json({"since": since, "count": count, "rows": shown})


def _event(event: Event) -> dict[str, Any]:
    return {
        "time": event.time,
        "type": event.type,
        "action": event.action,
        "id": event.id,
        "name": event.attributes.get("name") or event.id,
        "exit_code": exit_code(event.attributes),
        "health": event.attributes.get(HEALTH),
        "container": _container(event),
    }


def _container(event: Event) -> dict[str, str] | None:
    """Return the container that an event of a network or a volume is about."""
    container_id = event.attributes.get("container", "")
    if event.type == "container" or not container_id:
        return None
    return {"id": container_id, "name": event.attributes.get(CONTAINER_NAME) or container_id[:12]}


def _bad_request(error: str) -> Response:
    return as_json({"error": error}, HTTPStatus.BAD_REQUEST)
