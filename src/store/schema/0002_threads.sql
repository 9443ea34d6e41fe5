-- Threads, queue, stops that are under way, and where runs come from.
-- docs/database.md explains every table, column and index.

ALTER TABLE runs ADD COLUMN strategy TEXT NOT NULL DEFAULT 'reject';
ALTER TABLE runs ADD COLUMN line INTEGER;
ALTER TABLE runs ADD COLUMN stop TEXT;
ALTER TABLE runs ADD COLUMN rollback TEXT;
ALTER TABLE runs ADD COLUMN retried_from TEXT REFERENCES runs (id);
ALTER TABLE runs ADD COLUMN forked_from TEXT REFERENCES runs (id);
ALTER TABLE runs ADD COLUMN forked_phase TEXT;
-- A data folder has one owner, and so has every run in it: who holds the lock of the folder.
ALTER TABLE runs DROP COLUMN epoch;
ALTER TABLE inbox ADD COLUMN run_seq INTEGER;

-- Who waits for a thread, and at which place.
CREATE INDEX runs_in_line ON runs (thread, created_at_ms, id) WHERE state = 'created' AND strategy <> 'reject';
-- Who waits for a place to work.
CREATE INDEX runs_waiting_for_place ON runs (line) WHERE line IS NOT NULL;
-- The forks of a run, oldest first.
CREATE INDEX runs_forks ON runs (forked_from, created_at_ms, id) WHERE forked_from IS NOT NULL;
-- Runs whose worktree has still to go back to where it was.
CREATE INDEX runs_to_roll_back ON runs (id) WHERE rollback = 'asked';

-- A stop is over when the run rests or has ended, whoever stored that.
CREATE TRIGGER runs_stop_is_over AFTER UPDATE OF state ON runs
WHEN NEW.stop IS NOT NULL AND NEW.state NOT IN ('executing', 'awaiting_approval')
BEGIN
    UPDATE runs SET stop = NULL WHERE id = NEW.id;
END;
