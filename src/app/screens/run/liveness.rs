//! Signs of life of the phase in progress: when it was heard last, and what it waits out by itself.
//!
//! A phase that waits for a person is never quiet; a retry ends with the next answer of the model. A wait
//! that the server asked for is part of the run's state, and outlives what is heard in between.

use crate::model::event::{JournalEvent, RunFact};
use crate::model::run_state::RunState;
use crate::model::state::{PhaseStatus, RunStatus};
use crate::model::time::Timestamp;

/// So long without a word is quiet.
pub const QUIET_MS: u64 = 180_000;

/// A failed call that is made again after a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledRetry {
    /// Which try failed.
    pub failed: u32,
    /// Why, as a code.
    pub code: String,
    /// When the next begins.
    pub until: Timestamp,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhaseLiveness {
    heard: Option<Timestamp>,
    retry: Option<ScheduledRetry>,
}

impl PhaseLiveness {
    /// As a run's last events tell it.
    #[must_use]
    pub fn from_events(events: &[JournalEvent]) -> Self {
        let mut pulse = Self::default();
        events.iter().for_each(|event| pulse.push_event(event));
        pulse
    }

    /// A fact was stored.
    pub fn push_event(&mut self, event: &JournalEvent) {
        self.heard = self.heard.max(Some(event.at));
        self.retry = match &event.fact {
            RunFact::LlmRetried {
                r#try,
                code,
                wait_ms,
                ..
            } => {
                let until = Timestamp(event.at.0.saturating_add_unsigned(*wait_ms));
                Some(ScheduledRetry {
                    failed: *r#try,
                    code: code.to_string(),
                    until,
                })
            }
            _ => None,
        };
    }

    /// The agent said something.
    pub fn push_text(&mut self, at: Timestamp) {
        (self.heard, self.retry) = (self.heard.max(Some(at)), None);
    }

    /// What it waits out, while it does.
    #[must_use]
    pub fn retry(&self, run: &RunState, now: Timestamp) -> Option<ScheduledRetry> {
        let asked_for = run
            .waiting
            .as_ref()
            .filter(|_| run.status == RunStatus::Executing);
        let asked_for = asked_for.map(|waiting| ScheduledRetry {
            failed: waiting.tries,
            code: waiting.code.to_string(),
            until: waiting.until,
        });
        asked_for
            .or_else(|| self.retry.clone())
            .filter(|retry| retry.until > now)
    }

    /// For how long nothing was heard of a phase at work, once that is worth saying.
    #[must_use]
    pub fn quiet_ms(&self, run: &RunState, now: Timestamp) -> Option<u64> {
        let at_work = run.status == RunStatus::Executing
            && run.phases.iter().any(|p| p.status == PhaseStatus::Running);
        let silent = now.since_ms(self.heard?);
        (at_work && silent >= QUIET_MS && self.retry(run, now).is_none()).then_some(silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::test_support;
    use crate::app::test_support::SampleRunState;

    fn later(events: &[JournalEvent], ms: i64) -> Timestamp {
        Timestamp(events.last().unwrap().at.0 + ms)
    }

    #[test]
    fn a_phase_at_work_is_quiet_after_three_minutes_and_one_that_waits_never() {
        let events = test_support::journal(SampleRunState::Executing);
        let run = RunState::fold(test_support::run_id(1), &events).unwrap();
        let pulse = PhaseLiveness::from_events(&events);
        assert_eq!(pulse.quiet_ms(&run, later(&events, 179_999)), None);
        assert_eq!(pulse.quiet_ms(&run, later(&events, 180_000)), Some(180_000));
        let mut spoken = pulse.clone();
        spoken.push_text(later(&events, 100_000));
        assert_eq!(spoken.quiet_ms(&run, later(&events, 200_000)), None);

        let events = test_support::journal(SampleRunState::Awaiting);
        let run = RunState::fold(test_support::run_id(1), &events).unwrap();
        assert_eq!(
            PhaseLiveness::from_events(&events).quiet_ms(&run, later(&events, 9_000_000)),
            None
        );
    }

    #[test]
    fn a_retry_counts_down_until_it_begins_or_the_model_speaks() {
        let mut events = test_support::journal(SampleRunState::Executing);
        let at = events.last().unwrap().at;
        let phase_key = "spec".into();
        let turn_id = "01930000-0000-7000-8000-00000000bb01".parse().unwrap();
        let code = crate::model::error::Code::LlmUnreachable;
        let fact = RunFact::LlmRetried {
            phase_key,
            turn_id,
            r#try: 2,
            status: Some(429),
            code,
            wait_ms: 12_000,
            until: None,
        };
        events.push(JournalEvent {
            run_id: test_support::run_id(1),
            seq: events.len() as u64 + 1,
            at,
            fact,
        });
        let run = RunState::fold(test_support::run_id(1), &events).unwrap();
        let mut pulse = PhaseLiveness::from_events(&events);
        assert_eq!(
            pulse
                .retry(&run, at)
                .map(|r| (r.failed, r.until.since_ms(at))),
            Some((2, 12_000))
        );
        assert_eq!(pulse.retry(&run, Timestamp(at.0 + 12_000)), None);
        pulse.push_text(at);
        assert_eq!(pulse.retry(&run, at), None);
    }

    #[test]
    fn a_wait_that_the_server_asked_for_counts_down_whatever_is_said_and_while_the_run_is_at_work()
    {
        let mut events = test_support::journal(SampleRunState::Executing);
        let at = events.last().unwrap().at;
        let turn_id = "01930000-0000-7000-8000-00000000bb01".parse().unwrap();
        let (code, until) = (
            crate::model::error::Code::LlmRateLimited,
            Timestamp(at.0 + 3_600_000),
        );
        let mut happens = |fact| {
            events.push(JournalEvent {
                run_id: test_support::run_id(1),
                seq: events.len() as u64 + 1,
                at,
                fact,
            });
            (
                RunState::fold(test_support::run_id(1), &events).unwrap(),
                PhaseLiveness::from_events(&events),
            )
        };
        let (phase_key, wait_ms) = ("spec".into(), 3_600_000);
        happens(RunFact::LlmRetried {
            phase_key,
            turn_id,
            r#try: 1,
            status: Some(429),
            code,
            wait_ms,
            until: Some(until),
        });
        let reason = crate::model::state::PauseReason::Shutdown;
        let (paused, pulse) = happens(RunFact::RunPaused {
            ordinal: 1,
            reason,
            from_state: RunStatus::Executing,
        });
        assert_eq!(pulse.retry(&paused, at), None);
        let (run, mut pulse) = happens(RunFact::RunResumed {
            ordinal: 1,
            from_state: RunStatus::Executing,
        });
        pulse.push_text(at);
        let left = |now| {
            pulse
                .retry(&run, now)
                .map(|retry| (retry.failed, retry.until.since_ms(now)))
        };
        assert_eq!(left(Timestamp(at.0 + 1_000)), Some((1, 3_599_000)));
        assert_eq!(left(until), None);
        assert_eq!(
            pulse.quiet_ms(&run, Timestamp(at.0 + 3_000_000)),
            None,
            "it is known why it says nothing"
        );
    }
}
