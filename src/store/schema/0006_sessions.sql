-- Sessions with agent programs.

CREATE TABLE agent_sessions (
    session_id       TEXT    NOT NULL PRIMARY KEY REFERENCES sessions (id),
    run_id           TEXT    NOT NULL REFERENCES runs (id),
    program          TEXT    NOT NULL,
    program_session  TEXT,
    state            TEXT    NOT NULL CHECK (state IN ('CREATED', 'READY', 'BUSY', 'CLOSED', 'FAILED_NEEDS_HUMAN')),
    cost_nano        INTEGER,
    tokens_input     INTEGER NOT NULL DEFAULT 0,
    tokens_output    INTEGER NOT NULL DEFAULT 0,
    tokens_cached    INTEGER NOT NULL DEFAULT 0,
    tokens_reasoning INTEGER NOT NULL DEFAULT 0,
    updated_at_ms    INTEGER NOT NULL
) STRICT;

-- The sessions with programs of one run.
CREATE INDEX agent_sessions_of_run ON agent_sessions (run_id);

-- A session ends with its run, whichever way that ends.
CREATE TRIGGER agent_sessions_end_with_their_run AFTER UPDATE OF state ON runs
    WHEN NEW.state IN ('completed', 'failed', 'aborted')
BEGIN
    UPDATE agent_sessions SET state = 'CLOSED' WHERE run_id = NEW.id;
END;

CREATE TABLE session_prompts (
    session_id      TEXT    NOT NULL REFERENCES agent_sessions (session_id),
    program_session TEXT    NOT NULL,
    dedup_key       TEXT    NOT NULL,
    turn_id         TEXT    NOT NULL REFERENCES turns (id),
    sent_at_ms      INTEGER NOT NULL,
    PRIMARY KEY (session_id, program_session, dedup_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE session_transcript (
    turn_id  TEXT    NOT NULL REFERENCES turns (id),
    position INTEGER NOT NULL,
    kind     TEXT    NOT NULL CHECK (kind IN ('answer', 'reasoning', 'tool')),
    text     TEXT    NOT NULL,
    PRIMARY KEY (turn_id, position)
) STRICT, WITHOUT ROWID;
