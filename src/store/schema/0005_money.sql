-- Budgets, questions of tools, conversations within a conversation.

-- What a question is about where it is not about an artifact, and what its answer says beside yes or no.
ALTER TABLE approval_requests ADD COLUMN question TEXT;
ALTER TABLE approval_requests ADD COLUMN scope TEXT;
ALTER TABLE approval_requests ADD COLUMN raise_nano INTEGER;

-- Whose turn it is: empty for the agent of the phase, else the call that began a sub-agent.
ALTER TABLE turns ADD COLUMN conversation TEXT NOT NULL DEFAULT '';
-- The call before which the turn stopped to ask the operator; none of the calls from it on has begun.
ALTER TABLE turns ADD COLUMN held_at TEXT;
-- How often the operator's word had set the agent going again when it was reserved: what limits count from.
ALTER TABLE turns ADD COLUMN stretch INTEGER NOT NULL DEFAULT 0;

DROP INDEX turns_of_attempt;
-- One conversation of one attempt, in order; a number is used once unless its call came to nothing.
CREATE UNIQUE INDEX turns_of_attempt ON turns (run_id, phase_key, attempt, conversation, number) WHERE status <> 'void';

-- What was spent and is set aside since a moment: the budget of a day.
CREATE INDEX ledger_by_time ON ledger (at_ms);
-- What the runs of one workflow cost: the budget of a workflow.
CREATE INDEX runs_of_workflow ON runs (workflow);
