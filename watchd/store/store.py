"""The store: all tables of the database."""

from watchd.store.exits import ExitTable
from watchd.store.observations import ObservationTables
from watchd.store.references import ReferenceTable
from watchd.store.regrets import RegretTables
from watchd.store.removals import RemovalTables
from watchd.store.timeline import TimelineTables
from watchd.store.trimming import Trimming


class Store(ObservationTables, ReferenceTable, RemovalTables, RegretTables, ExitTable, TimelineTables, Trimming):
    """The database in the state directory. Safe to use from several threads. Methods raise `StateError`."""
