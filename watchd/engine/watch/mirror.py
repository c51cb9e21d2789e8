"""The mirror of the engine: one view, which the watch replaces as a whole and everyone else reads."""

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast, get_args

from watchd.model import UNKNOWN_ENGINE, EngineInfo, EngineView, Key, Kind, Subject

_FIELDS: Mapping[Kind, str] = {
    "container": "containers",
    "image": "images",
    "network": "networks",
    "volume": "volumes",
}
S = TypeVar("S", bound=Subject)

NOT_LISTED = EngineView(
    engine=UNKNOWN_ENGINE,
    taken_at=0.0,
    kinds=frozenset(_FIELDS),
    failures=dict.fromkeys((*get_args(Kind), "service"), "not listed yet"),
)


class Mirror:
    """Holds the current view. Readers take `view` once and use it without a lock: it never changes.

    The threads of the watch alone write.
    """

    def __init__(self, view: EngineView = NOT_LISTED) -> None:
        self.view = view
        self._lock = threading.Lock()

    @property
    def engine(self) -> EngineInfo | None:
        """The engine; None before it was asked, or if it does not report its ID."""
        engine = self.view.engine
        return engine if engine.is_known else None

    def replace(self, **changes: Any) -> EngineView:
        """Replace fields of the view."""
        with self._lock:
            view = self.view
            self.view = replace(view, taken_at=time.time(), version=view.version + 1, **changes)
            return self.view

    def update(self, changed: Mapping[Key, Subject | None]) -> EngineView:
        """Replace single objects; None: it is gone."""
        kinds = {kind for kind, _ in changed}
        with self._lock:
            fields: dict[str, Any] = {}
            for kind in kinds:
                of_kind = {id_: subject for (each, id_), subject in changed.items() if each == kind}
                fields[_FIELDS[kind]] = _updated(getattr(self.view, _FIELDS[kind]), of_kind)
            self.view = replace(self.view, taken_at=time.time(), version=self.view.version + 1, **fields)
            return self.view


def _updated(known: tuple[S, ...], changed: Mapping[str, Subject | None]) -> tuple[S, ...]:
    by_id = {subject.id: subject for subject in known}
    for id_, subject in changed.items():
        if subject is None:
            by_id.pop(id_, None)
        elif by_id.get(id_) != subject:  # equal objects stay identical: caches compare by identity
            by_id[id_] = cast("S", subject)
    return tuple(by_id.values())
