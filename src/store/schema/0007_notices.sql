-- What was told outside, and what opens a gate from anywhere.

CREATE TABLE notices (
    run_id TEXT    NOT NULL PRIMARY KEY REFERENCES runs (id),
    seq    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE gate_tokens (
    digest          TEXT    NOT NULL PRIMARY KEY,
    run_id          TEXT    NOT NULL REFERENCES runs (id),
    request_id      TEXT    NOT NULL,
    artifact_sha256 TEXT,
    expires_at_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
