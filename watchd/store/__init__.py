"""The state that outlives the process, in one SQLite database: observations, the journal of removals, exits."""

from watchd.store.database.connection import DATABASE
from watchd.store.store import Store
from watchd.store.tables.observations import Fold, Shift
from watchd.store.tables.regrets import Absence, Ended, Tally
from watchd.store.tables.rows import Cause, Generation, LastRun, Notes, Recorded, Removal

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
