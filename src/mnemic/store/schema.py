"""The tables, as numbered migrations; each runs in one transaction together with its own record.

A migration that has been released is never edited. `PRAGMA user_version` is the number of the last one applied and
`PRAGMA application_id` says that the file is Mnemic's.

Where columns stand matters: the long ones (text, parts, metadata) come last in `episodes`, so that what an index reads
never lies behind the overflow pages of a long text. Terms and vector stand in the same row as the episode and not in a
table of their own: one row written instead of two makes a commit a tenth shorter and a batch a fifth.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime

from mnemic.clock import to_microseconds

APPLICATION_ID = 0x4D4E454D  # "MNEM"

_THE_LOG = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL);

-- AUTOINCREMENT: the number of a scope that was forgotten is never given to another
CREATE TABLE scopes (scope_id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE);

CREATE TABLE episodes (
    seq INTEGER PRIMARY KEY,
    scope_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    occurred_offset INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    content_hash INTEGER NOT NULL,
    role TEXT NOT NULL,
    actor TEXT,
    session TEXT,
    supersedes TEXT,
    echo_of TEXT,
    terms TEXT NOT NULL,
    vector BLOB,
    text TEXT NOT NULL,
    parts TEXT,
    metadata TEXT
);
CREATE UNIQUE INDEX episodes_by_id ON episodes (scope_id, id);
CREATE INDEX episodes_by_scope ON episodes (scope_id);
CREATE INDEX episodes_by_superseded ON episodes (scope_id, supersedes) WHERE supersedes IS NOT NULL;

CREATE INDEX episodes_that_echo ON episodes (scope_id) WHERE echo_of IS NOT NULL;
CREATE INDEX episodes_without_vector ON episodes (seq) WHERE vector IS NULL;

CREATE TABLE removals (
    removal_id INTEGER PRIMARY KEY, scope_id INTEGER NOT NULL, seq INTEGER NOT NULL, removed_at INTEGER NOT NULL
);
CREATE INDEX removals_by_scope ON removals (scope_id);
CREATE INDEX removals_by_seq ON removals (seq);

CREATE TABLE recalled (seq INTEGER PRIMARY KEY, times INTEGER NOT NULL, last_at INTEGER NOT NULL);
CREATE INDEX recalled_by_time ON recalled (last_at);
"""

_THE_RECORDS = """
CREATE TABLE attachments (system TEXT PRIMARY KEY, parameters TEXT NOT NULL, attached_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE cursors (
    system TEXT NOT NULL, scope_id INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (system, scope_id)
) WITHOUT ROWID;

CREATE TABLE records (
    record_no INTEGER PRIMARY KEY,
    scope_id INTEGER NOT NULL,
    system TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    valid_from INTEGER,
    valid_to INTEGER,
    retired_at INTEGER,
    strength REAL NOT NULL,
    terms TEXT,
    vector BLOB,
    text TEXT NOT NULL,
    data TEXT
);
CREATE UNIQUE INDEX records_by_id ON records (scope_id, system, id);
CREATE TABLE record_sources (record_no INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (record_no, seq)) WITHOUT ROWID;
CREATE INDEX record_sources_by_seq ON record_sources (seq);

CREATE TABLE links (
    link_no INTEGER PRIMARY KEY,
    scope_id INTEGER NOT NULL,
    system TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    from_id TEXT NOT NULL,
    to_id TEXT NOT NULL,
    weight REAL NOT NULL,
    recorded_at INTEGER NOT NULL,
    data TEXT
);
CREATE UNIQUE INDEX links_by_id ON links (scope_id, system, id);
CREATE TABLE link_sources (link_no INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (link_no, seq)) WITHOUT ROWID;
CREATE INDEX link_sources_by_seq ON link_sources (seq);

-- the key digests scope, model, parameters, prompt and schema: one scope never reads another's answers
CREATE TABLE answers (
    answer_no INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    scope_id INTEGER NOT NULL,
    system TEXT NOT NULL,
    step TEXT NOT NULL,
    model TEXT NOT NULL,
    tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    answered_at INTEGER NOT NULL,
    answer TEXT NOT NULL
);
CREATE TABLE answer_sources (answer_no INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (answer_no, seq)) WITHOUT ROWID;
CREATE INDEX answer_sources_by_seq ON answer_sources (seq);

CREATE TABLE failures (
    system TEXT NOT NULL, scope_id INTEGER NOT NULL, step TEXT NOT NULL, attempts INTEGER NOT NULL,
    first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, error TEXT NOT NULL, detail TEXT,
    PRIMARY KEY (system, scope_id, step)
) WITHOUT ROWID;
"""

_THE_SESSIONS = """
CREATE INDEX episodes_by_session ON episodes (scope_id, session) WHERE session IS NOT NULL
"""

_WHAT_MODELS_ANSWER = """
-- version: grows with every change of what a system made in a scope; state: its own notes about where it stands
ALTER TABLE cursors ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cursors ADD COLUMN state TEXT;
-- attempts: 0 for an answer; else how often nothing usable came, and the answer is the last that did come
ALTER TABLE answers ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
CREATE INDEX answers_by_scope ON answers (scope_id);
CREATE TABLE spending (
    day TEXT NOT NULL, scope_id INTEGER NOT NULL, system TEXT NOT NULL, step TEXT NOT NULL, model TEXT NOT NULL,
    calls INTEGER NOT NULL, failed INTEGER NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL,
    usd REAL NOT NULL, PRIMARY KEY (day, scope_id, system, step, model)
) WITHOUT ROWID
"""

MIGRATIONS: tuple[tuple[str, str], ...] = (
    ("the log", _THE_LOG),
    ("the records", _THE_RECORDS),
    ("the sessions", _THE_SESSIONS),
    ("what models answer", _WHAT_MODELS_ANSWER),
)
NEWEST = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, at: datetime) -> None:
    """Bring an open database to the newest schema, one transaction per missing migration.

    Safe when two processes open a new file at once: each migration takes the write lock before it looks.
    """
    for number, (name, statements) in enumerate(MIGRATIONS, start=1):
        if version(connection) >= number:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            if version(connection) < number:  # somebody else may have been faster
                for statement in statements.split(";\n"):
                    if statement.strip():
                        connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {number}")
                connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number, name, to_microseconds(at)))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def version(connection: sqlite3.Connection) -> int:
    """The number of the last migration applied; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def application(connection: sqlite3.Connection) -> int:
    """The file's application id; 0 for a new file."""
    return int(connection.execute("PRAGMA application_id").fetchone()[0])
