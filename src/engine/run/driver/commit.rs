//! Committing: from an input to stored facts, and from those to the run's state.
//!
//! The machine decides; the facts are committed together with the rows that belong to them, and
//! only then applied. A full disk or a locked database is waited out. If the run's row is missing,
//! it is restored.

use std::sync::Arc;

use super::RunDriver;
use crate::engine::artifact::secrets;
use crate::engine::report::final_report;
use crate::engine::run::attachments::CommitAttachments;
use crate::engine::run::machine::{AttemptOutcome, MachineInput, RunActivity, decide, wanted};
use crate::model::error::{Code, Result};
use crate::model::event::{ArtifactRef, JournalEvent, RunFact};
use crate::model::time::Timestamp;
use crate::store::journal;
use crate::store::journal::events;
use crate::store::tables::runs;

impl RunDriver {
    /// Decides, commits and applies; waits out a full disk or a locked database.
    pub(super) async fn input(&mut self, input: MachineInput) -> Result<()> {
        self.input_with(input, CommitAttachments::default()).await
    }

    /// Like [`input`](Self::input), with rows to store in the same transaction.
    pub(super) async fn input_with(
        &mut self,
        input: MachineInput,
        mut beside: CommitAttachments,
    ) -> Result<()> {
        let facts = self.with_secret_warning(self.facts(input)?).await?;
        if facts
            .iter()
            .any(|fact| matches!(fact, RunFact::RunResumed { .. }))
        {
            // Servers that were unavailable may be back: a resume is the operator's
            // retry.
            self.context.backends.look_again().await;
        }
        self.stored = std::mem::take(&mut beside.stored_events);
        // The pending answer is left out: its turn was deleted together with the run's row.
        let kept = CommitAttachments {
            pending_answer: None,
            ..beside.clone()
        };
        let events = match self.commit_facts(beside, facts.clone()).await {
            Err(failure) if failure.code == Code::RunNotFound => {
                self.restore_and_append(kept, facts).await?
            }
            appended => appended?,
        };
        self.apply_events(&events).await
    }

    async fn commit_facts(
        &self,
        beside: CommitAttachments,
        facts: Vec<RunFact>,
    ) -> Result<Vec<JournalEvent>> {
        let run_id = self.run_id();
        if beside.is_empty() {
            return self
                .context
                .journal
                .append_with_retry(run_id, facts, |message| self.note(message))
                .await;
        }
        let job = move |tx: &rusqlite::Transaction<'_>| {
            let mut events = beside.write_rows(tx)?;
            events.extend(journal::append(tx, run_id, &facts, Timestamp::now())?);
            Ok(events)
        };
        self.context
            .journal
            .write_with_retry(job, |message| self.note(message))
            .await
    }

    /// Applies stored events, and writes the final report when the run has ended.
    pub(super) async fn apply_events(&mut self, events: &[JournalEvent]) -> Result<()> {
        self.apply_in_order(events).await?;
        if self.state.status.is_terminal()
            && events.iter().any(|event| event.fact.key() == "run.ended")
        {
            final_report::write_and_record(&self.context, self.run_id()).await;
        }
        Ok(())
    }

    /// Restores the run's row, which has disappeared, from memory, and then appends the facts.
    async fn restore_and_append(
        &self,
        beside: CommitAttachments,
        facts: Vec<RunFact>,
    ) -> Result<Vec<JournalEvent>> {
        tracing::error!(run = %self.run_id(), "the row of the run is missing; restoring it");
        let record = self.files.record.clone();
        let job = move |tx: &rusqlite::Transaction<'_>| {
            runs::restore(tx, &record)?;
            beside.write_rows(tx)?;
            journal::append(tx, record.id, &facts, Timestamp::now())
        };
        self.context
            .journal
            .write_with_retry(job, |message| self.note(message))
            .await
    }

    /// Adds a warning after a validated version that contains a secret.
    async fn with_secret_warning(&self, mut facts: Vec<RunFact>) -> Result<Vec<RunFact>> {
        let Some(at) = facts
            .iter()
            .position(|fact| matches!(fact, RunFact::ArtifactValidated { .. }))
        else {
            return Ok(facts);
        };
        let RunFact::ArtifactValidated {
            phase_key,
            attempt,
            artifact,
            ..
        } = facts[at].clone()
        else {
            return Ok(facts);
        };
        let later: Vec<String> = self
            .context
            .backends
            .all()
            .flat_map(|backend| backend.secrets())
            .collect();
        let contents = self.context.contents.clone();
        let known = Arc::clone(&self.context.redactor);
        let worktree = self.context.paths.worktree(self.run_id());
        let look = move |conn: &rusqlite::Connection| {
            let known = known.and_also(later);
            let text = contents.text(conn, &artifact.sha256).inspect_err(
                |failure| tracing::warn!(%failure, "could not scan an artifact for secrets"),
            );
            let words = text
                .ok()
                .and_then(|text| secrets::told(&known, &worktree, &text));
            Ok(words.map(|words| {
                let ArtifactRef {
                    version, sha256, ..
                } = artifact;
                RunFact::ArtifactWarned {
                    phase_key,
                    attempt,
                    version,
                    sha256,
                    words,
                }
            }))
        };
        if let Some(warned) = self.context.journal.read(look).await? {
            facts.insert(at + 1, warned);
        }
        Ok(facts)
    }

    /// Returns the facts that an input produces. In a plain directory a valid artifact without
    /// a gate needs no commit, so its phase completes, and the next one starts, in the same
    /// transaction.
    pub(super) fn facts(&self, input: MachineInput) -> Result<Vec<RunFact>> {
        let at = Timestamp::now();
        let valid = matches!(
            &input,
            MachineInput::AttemptEnded {
                outcome: AttemptOutcome::Valid(_),
                ..
            }
        );
        let mut facts = decide(self.plan(), &self.state, input, at)?;
        if !valid || !self.files.in_plain_directory() || self.stopping.is_some() {
            return Ok(facts);
        }
        // Decides the next step on a copy: `self.state` changes only after the commit.
        let mut ahead = self.state.clone();
        for fact in &facts {
            ahead.apply(&JournalEvent {
                run_id: ahead.run_id,
                seq: ahead.last_seq + 1,
                at,
                fact: fact.clone(),
            })?;
        }
        if let Some(RunActivity::Commit { phase_key }) = wanted(self.plan(), &ahead)
            && self.plan().gates(&phase_key).is_empty()
        {
            facts.extend(decide(
                self.plan(),
                &ahead,
                MachineInput::Committed {
                    phase_key,
                    commit: None,
                },
                at,
            )?);
        }
        Ok(facts)
    }

    /// Applies events, preceded by those that the attempt recorder stored in the meantime.
    async fn apply_in_order(&mut self, new: &[JournalEvent]) -> Result<()> {
        let until = new.first().map_or(u64::MAX, |first| first.seq);
        let stored = std::mem::take(&mut self.stored);
        for event in stored.iter().filter(|event| event.seq < until) {
            // Another writer may have stored an event in between; the rest is then read
            // from the journal.
            if event.seq == self.state.last_seq + 1 {
                self.state.apply(event)?;
            }
        }
        let run_id = self.run_id();
        let from = self.state.last_seq + 1;
        let missing = match new.first() {
            Some(first) => first.seq.saturating_sub(from),
            // The recorder may have stored everything the input was about; then there
            // is nothing new.
            None if stored.is_empty() => 0,
            None => u64::MAX,
        };
        if missing > 0 {
            let count = u32::try_from(missing).unwrap_or(u32::MAX);
            let between = self
                .context
                .journal
                .read(move |conn| events::from(conn, run_id, from, count))
                .await?;
            between
                .iter()
                .try_for_each(|event| self.state.apply(event))?;
        }
        new.iter().try_for_each(|event| self.state.apply(event))
    }
}
