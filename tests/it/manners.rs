//! The console's manners on a real terminal: crashes, other consoles, sizes, sleep and job control.

use std::time::Duration;

use crate::home::Home;
use crate::terminal::Terminal;

fn at_the_gate(home: &Home, columns: u16, rows: u16) -> Terminal {
    let mut terminal = Terminal::open(home, &["demo"], columns, rows);
    terminal.wait_until("the gate", |screen| screen.contains("opens the question"));
    terminal
}

#[test]
fn a_draft_survives_a_crash() {
    let home = Home::new();
    let mut terminal = at_the_gate(&home, 100, 30);
    terminal.press("!");
    terminal.wait_until("the gate to take keys", |screen| screen.contains("A approve"));
    terminal.press_until("c", "the place for words", |screen| screen.contains("send"));
    terminal.press("Prices in cents, please");
    terminal.wait_until("the words", |screen| screen.contains("Prices in cents, please"));
    // The promise is half a second after the last key.
    terminal.stays(Duration::from_millis(600));
    terminal.child.kill().unwrap();
    terminal.child.wait().unwrap();

    let mut again = Terminal::open(&home, &[], 100, 30);
    again.wait_until("the resume picker", |screen| screen.contains("stopped before the end"));
    again.press("\r");
    again.wait_until("the gate again", |screen| screen.contains("opens the question"));
    again.press_until("!", "the gate view", |screen| screen.contains("A approve"));
    again.press_until("c", "the words again", |screen| screen.contains("Prices in cents, please"));
}

#[test]
fn at_a_gate_the_console_sleeps() {
    let home = Home::new();
    let mut terminal = at_the_gate(&home, 120, 40);
    terminal.rest();
    let before = woken(&terminal);
    // What shows the time in minutes may change once at most.
    assert!(terminal.stays(Duration::from_secs(3)) < 400, "it writes while nothing happens");
    let woken = woken(&terminal) - before;
    assert!(woken < 30, "it was woken {woken} times in three seconds in which nothing happened");
}

/// How often the threads of the program were woken so far.
fn woken(terminal: &Terminal) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", terminal.child.process_id().unwrap())).unwrap();
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned();
        line.split_whitespace().next_back().unwrap().parse::<u64>().unwrap()
    };
    tasks.map(of_task).sum()
}

#[test]
fn a_second_console_shows_the_same_answers_and_sees_the_host_end() {
    let home = Home::new();
    let mut hosting = at_the_gate(&home, 100, 30);
    let mut attached = Terminal::open(&home, &[], 100, 30);
    attached.wait_until("the list", |screen| screen.contains("attached") && screen.contains("development@1"));
    attached.press("!");
    attached.wait_until("the gate to take keys", |screen| screen.contains("A approve") && !screen.contains("keys ignored"));
    attached.press_until("A", "the question to be sure", |screen| screen.contains("Approve spec v1"));
    // A second Enter would leave what the first one led to.
    attached.wait_until("Enter to count", |screen| screen.contains("Enter approves") && !screen.contains("keys ignored"));
    attached.press("\r");
    attached.wait_until("the answer to count", |screen| screen.contains("In effect"));
    hosting.wait_until("the answer of the other", |screen| screen.contains("approval.resolved"));
    hosting.wait_until("the next gate", |screen| screen.contains("plan_approved") || screen.contains("opens the question"));
    hosting.child.kill().unwrap();
    hosting.child.wait().unwrap();
    attached.wait_until("word of the end", |screen| screen.contains("no host"));
    attached.press("q");
    assert_eq!(attached.wait_for_end(), 0);
    assert!(attached.is_clean());
}

#[test]
fn no_screen_breaks_at_any_size() {
    let home = Home::new();
    let mut terminal = at_the_gate(&home, 80, 24);
    // Each opens another screen or something in front of one; the last leads back.
    for keys in ["", "\x1b", "\r", "?", "?:", "\x1b!", "c", "\x1b"] {
        terminal.press(keys);
        for (columns, rows) in [(1, 1), (300, 100), (39, 9), (40, 10), (2, 60), (160, 12), (119, 40), (200, 3), (80, 24)] {
            terminal.resize(columns, rows);
            terminal.stays(Duration::from_millis(15));
        }
    }
    terminal.press("\x1b");
    terminal.wait_until("a whole screen", |screen| screen.contains("quit") || screen.contains("commands"));
    terminal.stays(Duration::from_millis(50));
    terminal.press("\x03");
    terminal.wait_until("the question to be sure", |screen| screen.contains("Ctrl-C again"));
    terminal.press("\x03");
    terminal.wait_for_end();
    assert!(terminal.is_clean(), "the terminal is as it was");
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_brings_the_screen_back() {
    let home = Home::new();
    let mut terminal = Terminal::open_in_shell(&home, 100, 30);
    terminal.wait_until("the shell", |screen| screen.contains("ready>"));
    terminal.press(&format!("{}\r", env!("CARGO_BIN_EXE_phasedeck")));
    terminal.wait_until("the console", |screen| screen.contains("commands"));
    for _ in 0..2 {
        terminal.press("\x1a");
        terminal.wait_until("the shell again", |screen| screen.contains("Stopped") && screen.contains("ready>"));
        assert!(terminal.is_left(), "the terminal is the shell's");
        terminal.press("fg\r");
        terminal.wait_until("the console again", |screen| screen.contains("commands"));
    }
    terminal.press("q");
    terminal.wait_until("the end", |screen| screen.matches("ready>").count() >= 4);
    assert!(terminal.is_left());
    terminal.press("exit\r");
    terminal.wait_for_end();
}

#[test]
fn a_form_that_was_begun_survives_a_crash() {
    let home = Home::new();
    let begun = |terminal: &mut Terminal| {
        terminal.wait_until("the empty list", |screen| screen.contains("new run"));
        terminal.press_until("n", "the form", |screen| screen.contains("What do you want made?"));
    };
    let mut terminal = Terminal::open(&home, &[], 100, 30);
    begun(&mut terminal);
    terminal.press("\t\t\tPrices in cents, please");
    terminal.wait_until("the words", |screen| screen.contains("Prices in cents, please"));
    // The promise is half a second after the last key.
    terminal.stays(Duration::from_millis(600));
    terminal.child.kill().unwrap();
    terminal.child.wait().unwrap();

    let mut again = Terminal::open(&home, &[], 100, 30);
    begun(&mut again);
    again.wait_until("the words again", |screen| screen.contains("Prices in cents, please") && screen.contains("is back"));
}
