"""What the page at `/` is made of, and asks for beyond `api`, as docs/api.md says. Nothing here changes anything."""

import time
from http import HTTPStatus
from typing import Any

from watchd.api import unless_it_fails
from watchd.engine.last_events import LastEvents
from watchd.engine.quirks import exit_code
from watchd.errors import UsageError
from watchd.model import Event
from watchd.preview import Preview
from watchd.prune.explain import NoSuchObject, find_one
from watchd.prune.plan import KINDS
from watchd.prune.run import undisturbed
from watchd.store import Store
from watchd.survey import Survey
from watchd.units import parse_past
from watchd.web import files
from watchd.web.answers import as_json, as_long_json
from watchd.web.application import Query, Response, Routes

MOST_ROWS = 5000  # of the history
_SINCE = "30d"
_NEW = 10.0  # seconds that a plan may be old which does not know an object


class Page:
    """Answers from what the daemon knows, plans and has on record, with the page's own files beside it."""

    def __init__(self, preview: Preview, survey: Survey, store: Store, events: LastEvents) -> None:
        self._preview = preview
        self._survey = survey
        self._store = store
        self._events = events
        self._rendered: tuple[str, Response] | None = None  # by a plan's ID: its JSON takes long of thousands of items
        self.routes: Routes = {
            **files.routes(),
            "/api/v1/plan": unless_it_fails(self._plan),
            "/api/v1/explain": unless_it_fails(self._explain),
            "/api/v1/history": unless_it_fails(self._history),
            "/api/v1/usage": unless_it_fails(lambda _: as_json(self._survey.accounts().as_json())),
            "/api/v1/events": lambda _: as_json({"events": [_event(each) for each in self._events.current()]}),
        }

    def _plan(self, _: Query) -> Response:
        plan = self._preview.plan().plan
        rendered = self._rendered
        if rendered is None or rendered[0] != plan.plan_id:
            with undisturbed():
                rendered = self._rendered = plan.plan_id, as_long_json(plan.as_json())
        return rendered[1]

    def _explain(self, query: Query) -> Response:
        reference = query.get("ref")
        kind = next((kind for kind in KINDS if kind == query.get("kind")), None)
        if not reference or (kind is None and "kind" in query):
            return _refused(f"explain?kind=KIND&ref=REF, with a kind of {', '.join(KINDS)}, or without one")
        prepared = self._preview.plan()
        try:
            try:
                subject = find_one(prepared.snapshot, reference, kind)
            except NoSuchObject:
                prepared = self._preview.plan(at_most=_NEW)  # it may have come since
                subject = find_one(prepared.snapshot, reference, kind)
        except NoSuchObject as error:
            return as_json({"error": str(error)}, HTTPStatus.NOT_FOUND)
        except UsageError as error:
            return _refused(str(error))
        return as_json(prepared.explain(subject).as_json())

    def _history(self, query: Query) -> Response:
        try:
            since = parse_past(query.get("since", _SINCE), time.time())
        except ValueError as error:
            return _refused(f"since: {error}")
        with undisturbed():
            rows = self._store.removals(since=since, most=MOST_ROWS)
            count = len(rows) if len(rows) < MOST_ROWS else self._store.count_removals(since=since)
            # Their labels are the record's alone: metrics show those that [metrics] allows.
            told = [{name: value for name, value in row.as_json().items() if name != "labels"} for row in rows]
            return as_long_json({"since": since, "count": count, "rows": told})


def _event(event: Event) -> dict[str, Any]:
    return {
        "time": event.time,
        "type": event.type,
        "action": event.action,
        "id": event.id,
        "name": event.attributes.get("name") or event.id,
        "exit_code": exit_code(event.attributes),
    }


def _refused(why: str) -> Response:
    return as_json({"error": why}, HTTPStatus.BAD_REQUEST)
