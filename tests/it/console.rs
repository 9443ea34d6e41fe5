//! The console as an operator meets it: the real binary in a pseudo-terminal, keys in, screen out.

use crate::demo::wait_for;
use crate::home::{Home, check_invariants};
use crate::terminal::Terminal;

/// Opens the gate that waits, approves it with the two strokes, and types the phase's key where the
/// risk asks for it.
fn approve_the_next_gate(terminal: &mut Terminal, phase: &str) {
    terminal.wait_until("the gate", |screen| {
        crate::terminal::shows_pending_approval(screen)
    });
    terminal.press("!");
    terminal.wait_until("the gate to take keys", |screen| {
        screen.contains("A approve") && !screen.contains("Ready in")
    });
    // A verdict counts only after a moment without keys, so each is pressed again, as a person would.
    terminal.press_until("A", "the question to be sure", |screen| {
        screen.contains(&format!("Approve {phase} v1"))
    });
    if terminal.text().contains(&format!("type '{phase}'")) {
        terminal.press(phase);
        terminal.wait_until("the typed name", |screen| {
            screen.contains(&format!("Enter: {phase}_"))
        });
    }
    // A second Enter would leave what the first one led to.
    terminal.wait_until("Enter to count", |screen| {
        screen.contains("cancels") && !screen.contains("Ready in")
    });
    terminal.press("\r");
    terminal.wait_until("the answer to count", |screen| screen.contains("In effect"));
    terminal.press("\x1b");
    terminal.wait_until("the way back", |screen| !screen.contains("In effect"));
}

#[test]
fn a_demo_is_answered_by_keys_completes_and_leaves_the_terminal_as_it_was() {
    let home = Home::new();
    let mut terminal = Terminal::open(&home, &["demo"], 100, 30);
    for phase in ["spec", "plan", "verify"] {
        approve_the_next_gate(&mut terminal, phase);
    }
    terminal.wait_until("the end", |screen| screen.contains("run.completed"));
    terminal.press("q");
    assert_eq!(terminal.wait_for_end(), 0);
    assert!(terminal.is_clean(), "the terminal is as it was");
    let run = home.newest();
    assert_eq!(check_invariants(&home, &run).status.as_str(), "completed");
    let approvals = home.archive().approvals(run.id).unwrap();
    assert!(
        approvals
            .iter()
            .all(|row| row.via == Some(phasedeck::model::state::Via::Console)),
        "{approvals:?}"
    );
}

#[test]
fn keys_typed_ahead_and_pastes_decide_nothing() {
    let home = Home::new();
    let mut terminal = Terminal::open(&home, &["demo"], 80, 24);
    // Two hundred keys of prose stream in while the gate arrives, verdict keys and Enter among them.
    for _ in 0..20 {
        terminal.press("yA\r A\ry\r");
    }
    terminal.wait_until("the gate", |screen| screen.contains("spec_approved"));
    terminal.press("\x1b[200~A\rA\r\x1b[201~");
    terminal.press("!");
    terminal.press("A\rA\rA\r");
    terminal.wait_until("the gate to be open still", |screen| {
        screen.contains("A approve") || screen.contains("Ready in")
    });
    let run = home.newest();
    let state = home.archive().state(run.id).unwrap();
    assert_eq!(
        state.status.as_str(),
        "awaiting_approval",
        "nothing was decided"
    );
}

#[test]
fn a_killed_console_is_offered_its_run_again() {
    let home = Home::new();
    let mut terminal = Terminal::open(&home, &["demo"], 100, 30);
    terminal.wait_until("the gate", |screen| {
        crate::terminal::shows_pending_approval(screen)
    });
    terminal.child.kill().unwrap();
    terminal.child.wait().unwrap();
    let mut again = Terminal::open(&home, &[], 100, 30);
    again.wait_until("the resume picker", |screen| {
        screen.contains("interrupted. All progress") && screen.contains("development@1")
    });
    again.press("\r");
    again.wait_until("the gate again", |screen| {
        screen.contains("phase") && screen.contains("run.resumed")
    });
    let run = home.newest();
    let state = check_invariants(&home, &run);
    assert_eq!(
        (state.resumes, state.phases[0].attempt),
        (1, 1),
        "asked again without an agent"
    );
}

#[test]
fn a_signal_pauses_the_run_and_leaves_the_terminal_clean() {
    use rustix::process::Signal;
    [Signal::TERM, Signal::INT, Signal::HUP]
        .into_iter()
        .for_each(is_paused_by);
}

fn is_paused_by(signal: rustix::process::Signal) {
    let home = Home::new();
    let mut terminal = Terminal::open(&home, &["demo", "--scenario", "spec=timeout"], 100, 30);
    terminal.wait_until("the work", |screen| {
        screen.contains("silent until I am stopped")
    });
    let pid =
        rustix::process::Pid::from_raw(terminal.child.process_id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
    terminal.wait_for_end();
    assert!(
        terminal.is_clean(),
        "the terminal is as it was after {signal:?}"
    );
    let run = wait_for("the pause", || {
        Some(home.newest()).filter(|run| run.state == "paused")
    });
    assert_eq!(run.pause_reason.as_deref(), Some("shutdown"), "{signal:?}");
}

#[test]
fn every_size_is_survived_while_a_run_goes_on() {
    let home = Home::new();
    let mut terminal = Terminal::open(&home, &["demo"], 80, 24);
    terminal.wait_until("the gate", |screen| {
        crate::terminal::shows_pending_approval(screen)
    });
    for (columns, rows) in [
        (1, 1),
        (300, 100),
        (39, 9),
        (60, 16),
        (2, 60),
        (160, 20),
        (80, 24),
    ] {
        terminal.resize(columns, rows);
    }
    terminal.wait_until("the screen to be whole again", |screen| {
        crate::terminal::shows_pending_approval(screen)
    });
    terminal.press("q");
    terminal.wait_for_end();
    assert!(terminal.is_clean(), "the terminal is as it was");
    assert_eq!(
        home.newest().pause_reason.as_deref(),
        Some("shutdown"),
        "a waiting run rests when its host leaves"
    );
}

/// A program in the home that plays the operator's editor.
fn editor(home: &Home, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = home.path().join("editor.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn wait_for_the_open_gate(terminal: &mut Terminal) {
    terminal.wait_until("the gate to take keys", |screen| {
        screen.contains("A approve") && !screen.contains("Ready in")
    });
}

#[test]
fn an_editor_has_the_terminal_to_itself_and_what_it_wrote_is_asked_about_anew() {
    let home = Home::new();
    let script = r#"sed -i 's/Nothing that worked/Not a thing that worked/' "$1"; printf 'EDITING'; read -r line; echo "$line" > "$0.typed""#;
    let program = editor(&home, script);
    let mut terminal = Terminal::open_with(&home, &["demo"], (100, 30), &[("EDITOR", &program)]);
    terminal.wait_until("the gate", |screen| {
        crate::terminal::shows_pending_approval(screen)
    });
    terminal.press("!");
    wait_for_the_open_gate(&mut terminal);
    terminal.press("e");
    terminal.wait_until("the editor", |screen| screen.contains("EDITING"));
    assert!(
        !terminal.is_alternate(),
        "the editor got the terminal as the console found it"
    );
    terminal.press("A x q ! \r");
    terminal.wait_until("the new question", |screen| {
        screen.contains("edited by tester") && screen.contains("Diff to v1")
    });
    assert!(terminal.is_alternate());
    assert_eq!(
        std::fs::read_to_string(format!("{program}.typed"))
            .unwrap()
            .trim_end(),
        "A x q !",
        "every key was the editor's"
    );
    let run = home.newest();
    let state = home.archive().state(run.id).unwrap();
    assert_eq!(
        state.status.as_str(),
        "awaiting_approval",
        "editing decides nothing"
    );
    assert_eq!(
        (
            state.phases[0].versions,
            state.phases[0].revised_by.as_deref()
        ),
        (2, Some("tester"))
    );
    wait_for_the_open_gate(&mut terminal);
    terminal.press_until("A", "the question to be sure", |screen| {
        screen.contains("Approve spec v2")
    });
    // A second Enter would leave what the first one led to.
    terminal.wait_until("Enter to count", |screen| {
        screen.contains("Enter approves") && !screen.contains("Ready in")
    });
    terminal.press("\r");
    terminal.wait_until("the answer to count", |screen| screen.contains("In effect"));
}

#[test]
fn an_editor_that_is_killed_leaves_the_console_whole_and_the_terminal_clean() {
    let home = Home::new();
    let program = editor(
        &home,
        r"stty raw -echo; printf '\033[?1000h\033[2;5rLOST'; kill -9 $$",
    );
    let mut terminal = Terminal::open_with(&home, &["demo"], (100, 30), &[("VISUAL", &program)]);
    terminal.wait_until("the gate", |screen| {
        crate::terminal::shows_pending_approval(screen)
    });
    terminal.press("!");
    wait_for_the_open_gate(&mut terminal);
    terminal.press("e");
    terminal.wait_until("what became of it", |screen| {
        screen.contains("failed") && screen.contains("nothing was sent")
    });
    wait_for_the_open_gate(&mut terminal);
    terminal.press("\x1b");
    terminal.wait_until("the way back", |screen| !screen.contains("A approve"));
    terminal.press("\x03");
    terminal.press("\x03");
    terminal.wait_for_end();
    assert!(terminal.is_clean());
}

#[test]
fn words_that_were_begun_survive_a_killed_console() {
    let home = Home::new();
    let mut terminal = Terminal::open(&home, &["demo"], 100, 30);
    terminal.wait_until("the gate", |screen| {
        crate::terminal::shows_pending_approval(screen)
    });
    terminal.press("!");
    wait_for_the_open_gate(&mut terminal);
    terminal.press("c");
    terminal.wait_until("the text area", |screen| {
        screen.contains("comment for the agent")
    });
    terminal.press("smaller steps");
    let drafts = home.paths().state.join("drafts");
    wait_for("the draft on disk", || {
        let files = std::fs::read_dir(&drafts).ok()?.flatten();
        files
            .filter_map(|file| std::fs::read_to_string(file.path()).ok())
            .find(|text| text.contains("smaller steps"))
    });
    terminal.child.kill().unwrap();
    terminal.child.wait().unwrap();
    let mut terminal = Terminal::open(&home, &[], 100, 30);
    terminal.press_until("\r", "the run", |screen| {
        crate::terminal::shows_pending_approval(screen)
    });
    terminal.press("!");
    terminal.wait_until("the draft", |screen| screen.contains("draft kept"));
    wait_for_the_open_gate(&mut terminal);
    terminal.press("c");
    terminal.wait_until("the words", |screen| screen.contains("smaller steps"));
}

#[test]
fn a_tool_is_allowed_for_a_phase_by_keys_and_the_banner_says_what_stands() {
    let script = crate::model_script::Script::serve(crate::questions::builder);
    let (home, start) = crate::questions::asking_home(&script);
    let mut args: Vec<&str> = start.iter().map(String::as_str).collect();
    args.retain(|arg| {
        !matches!(
            *arg,
            "--headless" | "--on-gate" | "approve" | "--on-gate=approve"
        )
    });
    let mut terminal = Terminal::open(&home, &args, 100, 30);
    terminal.wait_until("the question", |screen| {
        crate::terminal::shows_pending_approval(screen) && screen.contains("execute")
    });
    terminal.press("!");
    terminal.wait_until("the command whole", |screen| {
        screen.contains("printf built > built.txt; cat built.txt")
            && screen.contains("R this run")
            && !screen.contains("Ready in")
    });
    terminal.press_until("P", "the question to be sure", |screen| {
        screen.contains("every call of execute in this phase")
    });
    terminal.press_until("\r", "the answer to count", |screen| {
        screen.contains("In effect")
    });
    let run = home.newest();
    let state = home.archive().state(run.id).unwrap();
    assert_eq!(
        state
            .permits
            .iter()
            .map(|permit| (permit.scope.as_str(), permit.allowed))
            .collect::<Vec<_>>(),
        [("phase", true)]
    );
    terminal.press("\x1b");
    approve_the_next_gate(&mut terminal, "first");
}

#[test]
fn ctrl_z_in_an_editor_stops_the_console_with_it_and_fg_brings_the_editor_back() {
    let home = Home::new();
    let program = editor(
        &home,
        r"printf 'EDITING'; read -r line; printf 'READ'; sleep 0.2",
    );
    let mut terminal = Terminal::open_in_shell(&home, 100, 30);
    terminal.wait_until("the shell", |screen| screen.contains("ready>"));
    terminal.press(&format!(
        "EDITOR={program} {} demo\r",
        env!("CARGO_BIN_EXE_phasedeck")
    ));
    terminal.wait_until("the gate", |screen| {
        crate::terminal::shows_pending_approval(screen)
    });
    terminal.press("!");
    wait_for_the_open_gate(&mut terminal);
    terminal.press("e");
    terminal.wait_until("the editor", |screen| screen.contains("EDITING"));
    terminal.press("\x1a");
    terminal.wait_until("the shell again", |screen| screen.contains("Stopped"));
    terminal.press("fg\r");
    // What is typed before the shell has handed the terminal over ends no line for the editor.
    terminal.press_until("\r", "the editor to read", |screen| {
        screen.contains("A approve")
    });
    terminal.wait_until("the console again", |screen| screen.contains("A approve"));
    assert!(terminal.is_alternate());
    terminal.press("\x03");
    terminal.press("\x03");
    terminal.wait_until("the end", |screen| screen.matches("ready>").count() >= 2);
    assert!(terminal.is_left());
}
