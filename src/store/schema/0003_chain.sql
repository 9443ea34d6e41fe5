-- The hash chain of the journal: each event carries a hash over itself and the hash of the one before.
-- What was stored before there was a chain stays as it is; the run's row says from which event on it holds.
ALTER TABLE events ADD COLUMN chain BLOB CHECK (chain IS NULL OR length(chain) = 32);
ALTER TABLE runs ADD COLUMN chain BLOB CHECK (chain IS NULL OR length(chain) = 32);
ALTER TABLE runs ADD COLUMN chained_from INTEGER NOT NULL DEFAULT 1;
UPDATE runs SET chained_from = last_seq + 1;
