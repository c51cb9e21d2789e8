"""Migrations: the tables of the database, version by version."""

import sqlite3

_SCHEMA = """
CREATE TABLE engine (
    id TEXT PRIMARY KEY,
    watched_until REAL NOT NULL       -- Unix seconds, as all times
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
    time REAL NOT NULL,               -- before it was tried
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
    outcome TEXT,                     -- NULL: not recorded
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
    succeeded REAL                    -- the last run without a failure
) WITHOUT ROWID;
ALTER TABLE engine ADD COLUMN cursor TEXT;
CREATE TABLE task_generation (
    engine TEXT NOT NULL,
    service TEXT NOT NULL,            -- ID of the Swarm service
    image TEXT NOT NULL,              -- ID
    created REAL NOT NULL,            -- creation of its last task
    PRIMARY KEY (engine, service, image)
) WITHOUT ROWID;
"""

# Digests of an image's layers, with blanks between; NULL: not known.
_SCHEMA_4 = "ALTER TABLE observation ADD COLUMN layers TEXT"

_SCHEMA_5 = """
CREATE TABLE image_reference (
    engine TEXT NOT NULL,
    image TEXT NOT NULL,              -- ID
    reference TEXT NOT NULL,
    until REAL,                       -- NULL: the image has it
    PRIMARY KEY (engine, image, reference)
) WITHOUT ROWID;
"""

# Whether a pull of an image was seen.
_SCHEMA_6 = "ALTER TABLE observation ADD COLUMN pulled INTEGER NOT NULL DEFAULT 0"

_SCHEMA_7 = """
ALTER TABLE removal ADD COLUMN at_least INTEGER NOT NULL DEFAULT 0;
CREATE TABLE freed (
    seq INTEGER PRIMARY KEY,
    time REAL NOT NULL,               -- end of the run
    plan_id TEXT NOT NULL,
    path TEXT NOT NULL,               -- of the disk
    bytes INTEGER NOT NULL            -- more available than before the run, as measured
);
CREATE INDEX freed_plan ON freed (plan_id);
"""

# What began the run: manual, schedule or pressure; NULL: not known.
_SCHEMA_8 = "ALTER TABLE removal ADD COLUMN trigger TEXT"

# What is needed again, and what policies in report mode would have removed.
_REGRETS = """
ALTER TABLE removal ADD COLUMN mode TEXT NOT NULL DEFAULT 'enforce';
ALTER TABLE removal ADD COLUMN needed_at REAL;
ALTER TABLE removal ADD COLUMN regretted_at REAL;
ALTER TABLE removal ADD COLUMN needed_for TEXT NOT NULL DEFAULT '';
CREATE INDEX removal_reported ON removal (engine, kind, id) WHERE mode = 'report';
CREATE TABLE removal_mark (
    mark TEXT NOT NULL,               -- what a removed object is known by
    removal INTEGER NOT NULL,         -- seq
    PRIMARY KEY (mark, removal)
) WITHOUT ROWID;
CREATE INDEX removal_mark_removal ON removal_mark (removal);
"""

# The timeline. Engines are numbers of texts; what is NULL in `gone` is there, and in `last` goes on.
_TIMELINE = """
CREATE TABLE timeline_text (
    id INTEGER PRIMARY KEY,           -- the first 63 bits of the SHA-256
    value TEXT NOT NULL
);
CREATE TABLE life (
    seq INTEGER PRIMARY KEY,
    engine INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    id BLOB NOT NULL,
    name TEXT,                        -- of a container
    arrived REAL NOT NULL,
    how TEXT NOT NULL,
    text INTEGER NOT NULL,
    gone REAL,
    by TEXT                           -- a policy, or watchd prune
);
CREATE INDEX removal_object ON removal (engine, kind, id);
CREATE INDEX life_open ON life (engine, kind, id) WHERE gone IS NULL;
CREATE TABLE life_appearance (
    life INTEGER NOT NULL,
    since REAL NOT NULL,
    text INTEGER NOT NULL,
    name TEXT,
    how TEXT NOT NULL,
    PRIMARY KEY (life, since)
) WITHOUT ROWID;
CREATE TABLE life_use (
    life INTEGER NOT NULL,
    first REAL NOT NULL,
    last REAL,
    count INTEGER NOT NULL,
    longest_gap REAL,
    exit_code INTEGER,
    PRIMARY KEY (life, first)
) WITHOUT ROWID;
CREATE TABLE life_size (
    life INTEGER NOT NULL,
    at REAL NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (life, at)
) WITHOUT ROWID;
CREATE TABLE disk_mark (
    engine INTEGER NOT NULL,
    at REAL NOT NULL,
    path INTEGER NOT NULL,
    kinds TEXT NOT NULL,
    used INTEGER NOT NULL,
    available INTEGER NOT NULL,
    inodes_used INTEGER NOT NULL,
    inodes INTEGER NOT NULL,
    PRIMARY KEY (engine, at, path)
) WITHOUT ROWID;
CREATE TABLE watched (
    engine TEXT NOT NULL,
    began REAL NOT NULL,
    ended REAL NOT NULL,
    PRIMARY KEY (engine, began)
) WITHOUT ROWID;
"""

# When the daemon first scheduled a policy: an interval counts from then until the first run. Each run asks for removals
# that have no outcome.
_SCHEDULED = """
CREATE TABLE policy_scheduled (
    policy TEXT PRIMARY KEY,
    since REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX removal_unsettled ON removal (engine) WHERE outcome IS NULL;
"""

_MIGRATIONS = (  # from each version to the next
    _SCHEMA,
    _SCHEMA_2,
    _SCHEMA_3,
    _SCHEMA_4,
    _SCHEMA_5,
    _SCHEMA_6,
    _SCHEMA_7,
    _SCHEMA_8,
    _REGRETS,
    _TIMELINE,
    _SCHEDULED,
)
VERSION = len(_MIGRATIONS)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Migrate a database from a version to `VERSION`, within an open transaction."""
    for script in _MIGRATIONS[version:]:
        for statement in script.split(";\n"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
