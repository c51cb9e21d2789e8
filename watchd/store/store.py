"""The store: all tables of the database."""

from watchd.store.tables.exits import ExitTable
from watchd.store.tables.observations import ObservationTables
from watchd.store.tables.references import ReferenceTable
from watchd.store.tables.regrets import RegretTables
from watchd.store.tables.removals import RemovalTables
from watchd.store.tables.timeline import TimelineTables
from watchd.store.trimming import Trimming


class Store(ObservationTables, ReferenceTable, RemovalTables, RegretTables, ExitTable, TimelineTables, Trimming):
    """The database in the state directory. Safe to use from several threads. Methods raise `StateError`."""
