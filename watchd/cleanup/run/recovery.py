"""Recover removals that have no outcome on record, since watchd was killed during them."""

import logging
from collections.abc import Callable, Collection
from functools import cache

from watchd.cleanup.plan.plan import Outcome
from watchd.engine.client import EngineClient
from watchd.errors import EngineError, EngineRefused
from watchd.store import Removal, Store

logger = logging.getLogger(__name__)


def recover(client: EngineClient, store: Store, engine: str) -> None:
    """Record an outcome for each, by what the engine has now. Call it with the run lock held. Raise `StateError`.

    Removals that the engine cannot tell about stay open.
    """
    records = cache(lambda: {record.id for record in client.build_cache()})  # listed once, if at all
    for number, removal in store.unsettled(engine):
        try:
            exists = _exists(client, removal, records)
        except EngineError as error:
            logger.warning("the outcome of removing %s %s is still unknown: %s", removal.kind, removal.name, error)
            continue
        if exists:
            store.record_outcome(number, Outcome.FAILED, "watchd was ended before it was removed: it is still there")
        else:
            store.record_outcome(number, Outcome.REMOVED, "found gone after watchd had been ended meanwhile")


def _exists(client: EngineClient, removal: Removal, records: Callable[[], Collection[str]]) -> bool:
    try:
        match removal.kind:
            case "container":
                client.container(removal.id)
            case "image" if removal.action == "untag":
                return client.image(removal.name).id == removal.id
            case "image":
                client.image(removal.id)
            case "network":
                client.network(removal.id)
            case "volume":
                client.volume(removal.id)
            case "build_cache":
                return removal.id in records()
    except EngineRefused as error:
        if error.status == 404:
            return False
        raise
    return True
