-- Schema 1. A migration that has landed is never edited; the next change is a new file.
-- docs/database.md explains every table, column and index.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE definitions (
    hash    TEXT NOT NULL PRIMARY KEY,
    kind    TEXT NOT NULL CHECK (kind IN ('workflow', 'persona', 'schema')),
    name    TEXT NOT NULL,
    content TEXT NOT NULL
) STRICT;

CREATE TABLE runs (
    id                TEXT    NOT NULL PRIMARY KEY,
    workflow          TEXT    NOT NULL,
    workflow_hash     TEXT    NOT NULL,
    thread            TEXT    NOT NULL,
    state             TEXT    NOT NULL DEFAULT 'created',
    paused_from_state TEXT,
    pause_reason      TEXT,
    requirements      TEXT    NOT NULL,
    repo              TEXT,
    base_branch       TEXT,
    base_commit       TEXT,
    branch            TEXT,
    worktree          TEXT,
    current_phase     TEXT,
    phases_total      INTEGER NOT NULL DEFAULT 0,
    phases_done       INTEGER NOT NULL DEFAULT 0,
    pending_gate      TEXT,
    pending_since_ms  INTEGER,
    rehearsal         INTEGER NOT NULL DEFAULT 0,
    options           TEXT    NOT NULL DEFAULT '{}',
    start_key         TEXT    UNIQUE,
    start_digest      TEXT,
    error_code        TEXT,
    error_message     TEXT,
    error_hint        TEXT,
    report_path       TEXT,
    epoch             INTEGER NOT NULL DEFAULT 0,
    last_seq          INTEGER NOT NULL DEFAULT 0,
    cost_nano         INTEGER NOT NULL DEFAULT 0,
    unknown_calls     INTEGER NOT NULL DEFAULT 0,
    calls             INTEGER NOT NULL DEFAULT 0,
    tokens_input      INTEGER NOT NULL DEFAULT 0,
    tokens_output     INTEGER NOT NULL DEFAULT 0,
    tokens_cached     INTEGER NOT NULL DEFAULT 0,
    tokens_reasoning  INTEGER NOT NULL DEFAULT 0,
    created_at_ms     INTEGER NOT NULL,
    started_at_ms     INTEGER,
    ended_at_ms       INTEGER,
    updated_at_ms     INTEGER NOT NULL
) STRICT;

-- At most one run holds a thread; also finds who holds it.
CREATE UNIQUE INDEX runs_holding_thread ON runs (thread) WHERE state IN ('executing', 'awaiting_approval');
-- The list of runs, newest first.
CREATE INDEX runs_newest ON runs (created_at_ms DESC, id DESC);
-- The list of one thread's runs, newest first.
CREATE INDEX runs_newest_of_thread ON runs (thread, created_at_ms DESC, id DESC);
-- What start-up recovery must look at: runs that have not ended.
CREATE INDEX runs_not_ended ON runs (created_at_ms, id) WHERE state NOT IN ('completed', 'failed', 'aborted');
-- What start-up recovery must write: ended runs without a final report.
CREATE INDEX runs_without_report ON runs (created_at_ms, id)
    WHERE state IN ('completed', 'failed', 'aborted') AND report_path IS NULL;
-- What moved since a console last looked.
CREATE INDEX runs_moved ON runs (updated_at_ms, id, last_seq);

CREATE TABLE bindings (
    run_id       TEXT NOT NULL REFERENCES runs (id),
    role         TEXT NOT NULL,
    persona      TEXT NOT NULL,
    persona_hash TEXT NOT NULL,
    backend      TEXT NOT NULL,
    model        TEXT,
    binding_hash TEXT NOT NULL,
    PRIMARY KEY (run_id, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_schemas (
    run_id    TEXT NOT NULL REFERENCES runs (id),
    schema_id TEXT NOT NULL,
    hash      TEXT NOT NULL,
    PRIMARY KEY (run_id, schema_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_phases (
    run_id          TEXT    NOT NULL REFERENCES runs (id),
    position        INTEGER NOT NULL,
    phase_key       TEXT    NOT NULL,
    state           TEXT    NOT NULL DEFAULT 'pending',
    attempt         INTEGER NOT NULL DEFAULT 0,
    expected_path   TEXT,
    expected_schema TEXT,
    artifact_sha256 TEXT,
    artifact_path   TEXT,
    commit_hash     TEXT,
    started_at_ms   INTEGER,
    ended_at_ms     INTEGER,
    cost_nano       INTEGER NOT NULL DEFAULT 0,
    unknown_calls   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, position),
    UNIQUE (run_id, phase_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    run_id          TEXT    NOT NULL REFERENCES runs (id),
    seq             INTEGER NOT NULL CHECK (seq > 0),
    at_ms           INTEGER NOT NULL,
    type            TEXT    NOT NULL,
    phase_key       TEXT,
    idempotency_key TEXT    NOT NULL,
    payload         TEXT    NOT NULL,
    PRIMARY KEY (run_id, seq),
    UNIQUE (run_id, idempotency_key)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never changed');
END;

CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never deleted');
END;

CREATE TABLE artifacts (
    run_id    TEXT    NOT NULL REFERENCES runs (id),
    phase_key TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    attempt   INTEGER NOT NULL,
    path      TEXT    NOT NULL,
    schema_id TEXT    NOT NULL,
    sha256    TEXT    NOT NULL,
    bytes     INTEGER NOT NULL,
    valid     INTEGER NOT NULL CHECK (valid IN (0, 1)),
    errors    TEXT    NOT NULL DEFAULT '[]',
    at_ms     INTEGER NOT NULL,
    PRIMARY KEY (run_id, phase_key, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE approval_requests (
    id               TEXT    NOT NULL PRIMARY KEY,
    run_id           TEXT    NOT NULL REFERENCES runs (id),
    phase_key        TEXT,
    gate             TEXT    NOT NULL,
    state            TEXT    NOT NULL DEFAULT 'pending',
    artifact_sha256  TEXT,
    artifact_version INTEGER,
    requested_at_ms  INTEGER NOT NULL,
    resolved_at_ms   INTEGER,
    comment          TEXT,
    resolved_by      TEXT,
    via              TEXT
) STRICT;

-- A run asks one question at a time; also finds the one that waits.
CREATE UNIQUE INDEX approval_requests_pending_of_run ON approval_requests (run_id) WHERE state = 'pending';
-- Everything that waits for the operator, oldest first.
CREATE INDEX approval_requests_waiting ON approval_requests (requested_at_ms, id) WHERE state = 'pending';
-- The questions of one run, in order.
CREATE INDEX approval_requests_of_run ON approval_requests (run_id, requested_at_ms, id);

CREATE TABLE sessions (
    id            TEXT    NOT NULL PRIMARY KEY,
    run_id        TEXT    NOT NULL REFERENCES runs (id),
    role          TEXT    NOT NULL,
    backend       TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    ordinal       INTEGER NOT NULL,
    started_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT;

-- The conversations of one run, in order.
CREATE INDEX sessions_of_run ON sessions (run_id, started_at_ms, id);

CREATE TABLE turns (
    id        TEXT    NOT NULL PRIMARY KEY,
    run_id    TEXT    NOT NULL REFERENCES runs (id),
    phase_key TEXT    NOT NULL,
    attempt   INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    status    TEXT    NOT NULL CHECK (status IN ('reserved', 'answered', 'settled', 'void')),
    answer    TEXT,
    at_ms     INTEGER NOT NULL
) STRICT;

-- The conversation of one attempt, in order; a number is used once unless its call came to nothing.
CREATE UNIQUE INDEX turns_of_attempt ON turns (run_id, phase_key, attempt, number) WHERE status <> 'void';

CREATE TABLE tool_calls (
    turn_id     TEXT    NOT NULL REFERENCES turns (id),
    position    INTEGER NOT NULL,
    call_id     TEXT    NOT NULL,
    tool        TEXT    NOT NULL,
    arguments   TEXT    NOT NULL,
    result      TEXT,
    outcome     TEXT,
    duration_ms INTEGER,
    PRIMARY KEY (turn_id, position),
    UNIQUE (turn_id, call_id)
) STRICT;

CREATE TABLE ledger (
    turn_id             TEXT    NOT NULL PRIMARY KEY REFERENCES turns (id),
    run_id              TEXT    NOT NULL REFERENCES runs (id),
    phase_key           TEXT    NOT NULL,
    attempt             INTEGER NOT NULL,
    persona             TEXT    NOT NULL,
    model               TEXT    NOT NULL,
    status              TEXT    NOT NULL CHECK (status IN ('open', 'ok', 'failed', 'unknown')),
    reserved_nano       INTEGER,
    cost_nano           INTEGER,
    estimated           INTEGER NOT NULL DEFAULT 0 CHECK (estimated IN (0, 1)),
    tokens_input        INTEGER NOT NULL DEFAULT 0,
    tokens_output       INTEGER NOT NULL DEFAULT 0,
    tokens_cached       INTEGER NOT NULL DEFAULT 0,
    tokens_reasoning    INTEGER NOT NULL DEFAULT 0,
    latency_ms          INTEGER NOT NULL DEFAULT 0,
    error_code          TEXT,
    provider_request_id TEXT,
    at_ms               INTEGER NOT NULL,
    settled_at_ms       INTEGER
) STRICT;

-- The calls of one run, in order, and their sums.
CREATE INDEX ledger_of_run ON ledger (run_id, at_ms, turn_id);
-- Calls that were sent and never settled: what a crash leaves.
CREATE INDEX ledger_open ON ledger (run_id, at_ms, turn_id) WHERE status = 'open';

CREATE TABLE inbox (
    token          TEXT    NOT NULL PRIMARY KEY,
    sent_by        TEXT    NOT NULL,
    via            TEXT    NOT NULL,
    command        TEXT    NOT NULL,
    answer         TEXT,
    created_at_ms  INTEGER NOT NULL,
    answered_at_ms INTEGER
) STRICT;

-- Commands that wait for the host, oldest first.
CREATE INDEX inbox_open ON inbox (created_at_ms) WHERE answered_at_ms IS NULL;

CREATE TABLE consents (
    persona_hash TEXT    NOT NULL PRIMARY KEY,
    persona      TEXT    NOT NULL,
    given_by     TEXT    NOT NULL,
    at_ms        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
