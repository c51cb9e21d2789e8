"""The state that outlives the process, in one SQLite database: observations, the journal of removals, exits."""

from watchd.store.connection import DATABASE
from watchd.store.observations import Fold, Shift
from watchd.store.regrets import Absence, Ended, Tally
from watchd.store.rows import Cause, Generation, LastRun, Notes, Recorded, Removal
from watchd.store.store import Store

__all__ = [
    "DATABASE",
    "Absence",
    "Cause",
    "Ended",
    "Fold",
    "Generation",
    "LastRun",
    "Notes",
    "Recorded",
    "Removal",
    "Shift",
    "Store",
    "Tally",
]
