"""The tables of the database, version by version."""

import sqlite3

_SCHEMA = """
CREATE TABLE engine (
    id TEXT PRIMARY KEY,
    watched_until REAL NOT NULL       -- when someone last looked; unix seconds, as are all times here
) WITHOUT ROWID;
CREATE TABLE observation (
    engine TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    first_seen REAL NOT NULL,
    arrived_at REAL NOT NULL,
    last_used REAL,
    dangling_since REAL,
    PRIMARY KEY (engine, kind, id)
) WITHOUT ROWID;
CREATE TABLE removal (
    seq INTEGER PRIMARY KEY,
    engine TEXT NOT NULL,
    time REAL NOT NULL,               -- when it was about to happen
    plan_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    names TEXT NOT NULL,              -- JSON
    action TEXT NOT NULL,             -- remove or untag
    labels TEXT NOT NULL,             -- JSON
    policy TEXT NOT NULL,
    reason TEXT NOT NULL,
    facts TEXT NOT NULL,              -- JSON
    bytes INTEGER NOT NULL,
    outcome TEXT,                     -- NULL: it began and its end is not on record
    detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX removal_time ON removal (time);
"""

_SCHEMA_2 = """
CREATE TABLE exit (
    seq INTEGER PRIMARY KEY,
    engine TEXT NOT NULL,
    container_id TEXT NOT NULL,
    name TEXT NOT NULL,
    image TEXT NOT NULL,
    project TEXT NOT NULL,            -- of Compose
    service TEXT NOT NULL,
    started REAL,
    ended REAL NOT NULL,
    exit_code INTEGER,
    cpu REAL,                         -- seconds
    memory_peak INTEGER               -- bytes
);
CREATE INDEX exit_ended ON exit (ended);
"""

_SCHEMA_3 = """
CREATE TABLE policy_run (
    policy TEXT PRIMARY KEY,
    ran REAL NOT NULL,
    succeeded REAL                    -- when last without any failure
) WITHOUT ROWID;
ALTER TABLE engine ADD COLUMN cursor TEXT;
CREATE TABLE task_generation (
    engine TEXT NOT NULL,
    service TEXT NOT NULL,            -- ID of the Swarm service
    image TEXT NOT NULL,              -- ID of the image that its tasks ran from
    created REAL NOT NULL,            -- when the last of those was created
    PRIMARY KEY (engine, service, image)
) WITHOUT ROWID;
"""

_MIGRATIONS = (_SCHEMA, _SCHEMA_2, _SCHEMA_3)  # what makes each version of the one before
VERSION = len(_MIGRATIONS)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a database of a version up to date, in a transaction that is open."""
    for script in _MIGRATIONS[version:]:
        for statement in script.split(";\n"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
