"""Finds out what became of removals that began, and whose outcome is not on record: watchd was killed meanwhile."""

import logging

from watchd.engine.client import EngineClient
from watchd.errors import EngineError, EngineRefused
from watchd.prune.plan import Outcome
from watchd.store import Removal, Store

logger = logging.getLogger(__name__)


def settle(client: EngineClient, store: Store, engine: str) -> None:
    """Record an outcome for each, by what the engine has now. To be called by who alone carries out plans.

    What the engine does not tell stays open. Raise `StateError`.
    """
    for number, removal in store.unsettled(engine):
        try:
            there = _is_there(client, removal)
        except EngineError as error:
            logger.warning("what became of %s %s is not known yet: %s", removal.kind, removal.name, error)
            continue
        if there:
            store.record_outcome(number, Outcome.FAILED, "watchd was ended before it was removed: it is still there")
        else:
            store.record_outcome(number, Outcome.REMOVED, "found gone after watchd had been ended meanwhile")


def _is_there(client: EngineClient, removal: Removal) -> bool:
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
                return any(record.id == removal.id for record in client.build_cache())
    except EngineRefused as error:
        if error.status == 404:
            return False
        raise
    return True
