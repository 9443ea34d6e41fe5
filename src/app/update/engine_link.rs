//! The connection to the engine: established, lost when the host exits, and restored by taking
//! over.
use super::{demo, signals};
use crate::app::keymap::Action;
use crate::app::msg::Cmd;
use crate::app::screens::{info, resume, runs};
use crate::app::state::{AppState, ConfirmChoice, ConfirmDialog, Modal, StatusNotice};
use crate::model::error::Failure;

/// The engine is there; whatever was read before it put things in order is read again.
pub fn linked(state: &mut AppState, hosting: bool, notices: &[String]) -> Vec<Cmd> {
    let took_over = hosting && state.host_gone;
    (state.opening, state.hosting, state.host_gone) = (None, hosting, false);
    // A banner shows them until they are read.
    state.warnings.extend(notices.iter().cloned());
    if took_over {
        state.notify("this console is now the host: paused runs can resume");
    }
    let mut cmds = runs::update::refresh(state);
    cmds.extend(info::update::request_costs(state));
    cmds.extend(demo::load_empty_screen(state, true));
    cmds.extend(signals::reread_run(state));
    cmds
}

/// Handles a failed takeover.
pub fn failed(state: &mut AppState, failure: &Failure) -> Vec<Cmd> {
    state.opening = None;
    state.notify_failure(failure);
    Vec::new()
}

/// Handles the appearance or exit of another host.
pub fn host(state: &mut AppState, there: bool) -> Vec<Cmd> {
    if state.opening.is_some() {
        // This console is becoming the host.
        return Vec::new();
    }
    if state.hosting && !there {
        state.hosting = false;
        state.warnings.push(
            "This console hosts the runs no more: another phasedeck has taken over, or the disk failed. Nothing you do here is \
             stored: quit, and start phasedeck again."
                .to_owned(),
        );
        return signals::stale(state);
    }
    state.host_gone = !there;
    if there {
        state.notify("a host is available again: commands are executed");
        return signals::stale(state);
    }
    let text = format!(
        "the host has exited, its runs are paused: {} takes over",
        state.keys.display_keys(Action::TakeOver)
    );
    state.notice = Some(StatusNotice {
        text,
        bad: true,
        at: state.now.ticks,
    });
    signals::stale(state)
}

const HELD: &str = "Another program holds the database: nothing can be stored until it lets go, and the runs wait for that. \
                    Close what else has phasedeck.db open.";

/// Handles the database becoming locked by another program, or available again.
pub fn held(state: &mut AppState, held: bool) -> Vec<Cmd> {
    state.warnings.retain(|words| words != HELD);
    if held {
        state.warnings.push(HELD.to_owned());
    } else {
        state.notify("the database is available again: pending writes are stored");
    }
    Vec::new()
}

/// Asks whether to take over as host, if there is none.
pub fn confirm_take_over(state: &mut AppState) -> Vec<Cmd> {
    let why_not = match () {
        () if state.opening.is_some() => "the engine is already starting",
        () if state.hosting => "this console is already the host",
        () if !state.host_gone => "another process is the host; this console is attached to it",
        () => "",
    };
    if !why_not.is_empty() {
        state.notify(why_not);
        return Vec::new();
    }
    state.modal = Some(Modal::Confirm(ConfirmDialog {
        question: "Take over as host?".to_owned(),
        detail: "The previous host has exited. This console becomes the host: it recovers the interrupted runs, \
                 which can then be resumed here."
            .to_owned(),
        choices: vec![("Cancel".to_owned(), ConfirmChoice::Stay), ("Take over".to_owned(), ConfirmChoice::TakeOver)],
        cursor: 0,
        drawn: None,
    }));
    Vec::new()
}

/// Becomes the host, or attaches to a process that was faster.
pub fn take_over(state: &mut AppState) -> Vec<Cmd> {
    state.opening = Some(state.now.ticks);
    state.picker.may_open = true;
    vec![Cmd::Link]
}

/// Whether interrupted runs may be offered; they are known only after crash recovery.
pub fn offer(state: &mut AppState) -> Vec<Cmd> {
    if state.opening.is_some() {
        Vec::new()
    } else {
        resume::update::offer(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::msg::Msg;
    use crate::app::state::Screen;
    use crate::app::test_support::{ConsoleHarness, SampleRunState, record, run_id};
    use crate::model::error::Code;
    use crate::model::state::RunStatus;

    fn opening() -> ConsoleHarness {
        let mut bench = ConsoleHarness::new(
            (100, 30),
            vec![record(1, RunStatus::Paused, 5)],
            SampleRunState::Executing,
        );
        (bench.state.hosting, bench.state.opening) = (false, Some(0));
        bench.start(None)
    }

    #[test]
    fn runs_are_shown_before_the_engine_is_there_and_what_stopped_is_offered_after() {
        let mut bench = opening();
        assert!(
            bench.state.runs.loaded && bench.state.screen() == Screen::Runs,
            "a crash may not be put in order yet"
        );
        bench.feed(Msg::Linked(true, vec!["the anchor is ahead".to_owned()]));
        assert_eq!(
            (
                bench.state.screen(),
                bench.state.hosting,
                bench.state.opening
            ),
            (Screen::Picker, true, None)
        );
        assert_eq!(bench.state.warnings, ["the anchor is ahead"]);
    }

    #[test]
    fn a_held_database_is_told_in_a_banner_for_as_long_as_it_is_held() {
        let mut bench = opening();
        bench.feed(Msg::Held(true));
        assert_eq!(bench.state.warnings, [HELD]);
        bench.feed(Msg::Held(false));
        assert!(bench.state.warnings.is_empty());
        assert_eq!(
            bench.state.notice.as_ref().unwrap().text,
            "the database is available again: pending writes are stored"
        );
    }

    #[test]
    fn a_console_that_hosts_no_more_says_that_nothing_it_does_is_stored() {
        let mut bench = opening();
        bench.feed(Msg::Linked(true, Vec::new()));
        bench.feed(Msg::Host(false));
        assert!(!bench.state.hosting);
        assert!(
            bench.state.warnings[0].contains("another phasedeck has taken over"),
            "{:?}",
            bench.state.warnings
        );
    }

    #[test]
    fn a_list_that_cannot_be_read_yet_is_no_failure_until_the_engine_says_so() {
        let mut bench = opening();
        bench.state.runs.loaded = false;
        let ask = bench.state.runs.page_request(bench.state.midnight(), 24);
        let failed = || Err(Failure::new(Code::IoFailed, "of an older schema"));
        bench.feed(Msg::Loaded(
            crate::app::msg::ArchiveQuery::Runs(ask.clone()),
            failed(),
        ));
        assert_eq!(bench.state.runs.failure, None);
        bench.state.opening = None;
        bench.feed(Msg::Loaded(
            crate::app::msg::ArchiveQuery::Runs(ask),
            failed(),
        ));
        assert!(bench.state.runs.failure.is_some());
    }

    #[test]
    fn taking_over_is_asked_for_and_only_where_no_host_is() {
        let mut bench = ConsoleHarness::new(
            (100, 30),
            vec![record(1, RunStatus::Executing, 5)],
            SampleRunState::Executing,
        )
        .start(Some(run_id(1)));
        bench.press("H");
        assert!(bench.state.modal.is_none(), "this one is the host");
        bench.state.hosting = false;
        bench.press("H");
        assert!(bench.state.modal.is_none(), "there is another");
        bench.feed(Msg::Host(false));
        bench.press("H");
        let Some(Modal::Confirm(confirm)) = &mut bench.state.modal else {
            panic!("not asked")
        };
        confirm.drawn = Some(0);
        bench.press("Enter");
        assert!(
            bench.state.modal.is_none() && !bench.done.contains(&Cmd::Link),
            "the first answer changes nothing"
        );
        bench.press("H");
        let Some(Modal::Confirm(confirm)) = &mut bench.state.modal else {
            panic!("not asked")
        };
        confirm.drawn = Some(0);
        bench.press("Tab");
        bench.press("Enter");
        assert!(bench.done.contains(&Cmd::Link) && bench.state.opening.is_some());
        bench.feed(Msg::Host(true));
        assert!(
            bench.state.notice.is_none(),
            "the lock it sees is this console's"
        );
        bench.feed(Msg::Linked(true, Vec::new()));
        assert!(bench.state.hosting && !bench.state.host_gone);
    }

    #[test]
    fn where_taking_over_fails_the_console_stays() {
        let mut bench = opening();
        bench.state.host_gone = true;
        bench.feed(Msg::NotLinked(Failure::new(
            Code::DbCorrupt,
            "the database is damaged",
        )));
        assert!(bench.state.opening.is_none() && bench.state.host_gone);
        assert!(
            bench
                .state
                .notice
                .as_ref()
                .is_some_and(|n| n.bad && n.text.contains("damaged"))
        );
    }
}
