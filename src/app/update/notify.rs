//! Decides whether a change in the run list warrants a notification. Only transitions count.
use crate::app::screens::runs::state::awaits_operator;
use crate::model::record::RunRecord;
use crate::model::state::RunStatus;

/// What to say about the change from one list to the next, the most pressing thing alone.
#[must_use]
pub fn news(old: &[RunRecord], new: &[RunRecord]) -> Option<&'static str> {
    let before = |record: &RunRecord| old.iter().find(|other| other.id == record.id);
    let asked = |record: &&RunRecord| {
        awaits_operator(record)
            && before(record).is_none_or(|old| {
                !awaits_operator(old) || old.pending_since != record.pending_since
            })
    };
    let became = |record: &&RunRecord, status: RunStatus| {
        record.state == status.as_str()
            && before(record).is_some_and(|old| old.state != record.state)
    };
    match () {
        () if new.iter().any(|r| asked(&r)) => Some("phasedeck: approval pending"),
        () if new.iter().any(|r| became(&r, RunStatus::Failed)) => Some("phasedeck: a run failed"),
        () if new.iter().any(|r| became(&r, RunStatus::Completed)) => {
            Some("phasedeck: a run is done")
        }
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::test_support;
    use crate::model::time::Timestamp;

    #[test]
    fn only_what_changed_calls_and_the_question_before_the_rest() {
        let all = test_support::records();
        assert_eq!(news(&all, &all), None);
        let mut ended = all.clone();
        let working = ended.iter_mut().find(|r| r.state == "executing").unwrap();
        working.state = "completed".to_owned();
        assert_eq!(news(&all, &ended), Some("phasedeck: a run is done"));
        assert_eq!(news(&ended, &ended), None);
        let mut next = ended.clone();
        let asks = next.iter_mut().find(|r| awaits_operator(r)).unwrap();
        asks.pending_since = Some(Timestamp(asks.pending_since.unwrap().0 + 1));
        assert_eq!(
            news(&all, &next),
            Some("phasedeck: approval pending"),
            "the next question of the same run"
        );
    }
}
