-- Finding words in a journal of any length, and what a run was at any of its events.
-- Both are made from the journal, a block of events at a time, and can be made anew from it.

CREATE TABLE journal_blocks (
    id        INTEGER NOT NULL PRIMARY KEY,
    run_id    TEXT    NOT NULL REFERENCES runs (id),
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    fold      INTEGER NOT NULL,
    state     TEXT
) STRICT;

-- The blocks of one run in order: the one that holds an event, the last one before it.
CREATE UNIQUE INDEX journal_blocks_of_run ON journal_blocks (run_id, last_seq);
-- Blocks whose state was folded by another program, or not yet.
CREATE INDEX journal_blocks_by_fold ON journal_blocks (fold, run_id, last_seq);

-- Which words occur in which block, by three letters at a time. The words themselves are not kept.
CREATE VIRTUAL TABLE journal_words USING fts5 (words, content = '', columnsize = 0, detail = none, tokenize = 'trigram');
