"""What outlives the process, in one SQLite database: observations, every removal, and the ends of containers."""

from watchd.store.database import DATABASE, Fold, Shift, Store
from watchd.store.rows import Generation, LastRun, Recorded, Removal

__all__ = ["DATABASE", "Fold", "Generation", "LastRun", "Recorded", "Removal", "Shift", "Store"]
