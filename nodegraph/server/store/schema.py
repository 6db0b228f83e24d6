"""The tables of the store, as the steps that lead from each version of them to the next."""

from __future__ import annotations

from typing import Final

Step = tuple[str, ...]

APPLICATION: Final = 0x6E6F6465
"""`node`: marks the file as ours."""

_FIRST: Final[Step] = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # A workflow is kept once, however many jobs run it; `words` is what a search looks through.
    """CREATE TABLE documents (
        sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, content BLOB NOT NULL, words TEXT NOT NULL)""",
    """CREATE TABLE batches (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL, name TEXT NOT NULL,
        key TEXT, created REAL NOT NULL, total INTEGER NOT NULL)""",
    "CREATE UNIQUE INDEX batches_key ON batches (user, key) WHERE key IS NOT NULL",
    "CREATE INDEX batches_user ON batches (user, seq)",
    """CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL, state TEXT NOT NULL,
        document TEXT NOT NULL REFERENCES documents (sha256), client TEXT NOT NULL, inputs TEXT NOT NULL,
        targets TEXT NOT NULL, name TEXT NOT NULL, signature TEXT NOT NULL, nodes INTEGER NOT NULL,
        priority INTEGER NOT NULL, position REAL NOT NULL, batch TEXT REFERENCES batches (id), item INTEGER,
        retry_of TEXT, attempts INTEGER NOT NULL, device TEXT, created REAL NOT NULL, started REAL, ended REAL,
        seconds REAL NOT NULL, memory TEXT NOT NULL, failure TEXT, questions TEXT NOT NULL, answers TEXT NOT NULL,
        results TEXT NOT NULL, timeout REAL, webhook TEXT, key TEXT, words TEXT NOT NULL)""",
    "CREATE UNIQUE INDEX jobs_key ON jobs (user, key) WHERE key IS NOT NULL",
    "CREATE INDEX jobs_user ON jobs (user, seq)",
    "CREATE INDEX jobs_state ON jobs (state, user)",
    "CREATE INDEX jobs_batch ON jobs (batch, state) WHERE batch IS NOT NULL",
    "CREATE INDEX jobs_document ON jobs (document)",
    """CREATE INDEX jobs_queue ON jobs (user, priority, position)
        WHERE state IN ('queued', 'running', 'waiting')""",
    "CREATE TABLE reports (job INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE, content BLOB NOT NULL)",
    # An output outlives its job.
    """CREATE TABLE outputs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, job TEXT NOT NULL, user TEXT NOT NULL,
        node TEXT NOT NULL, ordinal INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, media TEXT NOT NULL,
        size INTEGER NOT NULL, width INTEGER, height INTEGER, created REAL NOT NULL, there INTEGER NOT NULL,
        UNIQUE (job, node, ordinal))""",
    "CREATE INDEX outputs_user ON outputs (user, seq)",
    "CREATE INDEX outputs_name ON outputs (user, kind, name)",
    "CREATE INDEX outputs_unsettled ON outputs (seq) WHERE NOT there",
    """CREATE TABLE times (
        signature TEXT PRIMARY KEY, runs INTEGER NOT NULL, total REAL NOT NULL, nodes TEXT NOT NULL,
        latest INTEGER NOT NULL)""",
    "CREATE INDEX times_latest ON times (latest)",
    """CREATE TABLE users (
        name TEXT PRIMARY KEY, admin INTEGER NOT NULL, token TEXT UNIQUE, created REAL NOT NULL)""",
    "CREATE TABLE sessions (sha256 TEXT PRIMARY KEY, user TEXT NOT NULL, expires REAL NOT NULL)",
    "CREATE INDEX sessions_user ON sessions (user)",
    "CREATE TABLE codes (sha256 TEXT PRIMARY KEY, user TEXT NOT NULL, expires REAL NOT NULL)",
    """CREATE TABLE webhooks (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, url TEXT NOT NULL, job TEXT NOT NULL,
        attempts INTEGER NOT NULL, created REAL NOT NULL, due REAL NOT NULL)""",
    "CREATE INDEX webhooks_due ON webhooks (due)",
)

STEPS: Final[tuple[Step, ...]] = (_FIRST,)
"""Step n leads from version n to n + 1. One that was released is never changed: a new one is added behind it."""
