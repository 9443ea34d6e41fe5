//! The console's manners on a real terminal: crashes, other consoles, sizes, sleep and job control.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::home::Home;
use crate::terminal::Terminal;

fn at_the_gate(home: &Home, columns: u16, rows: u16) -> Terminal {
    let mut terminal = Terminal::open(home, &["demo"], columns, rows);
    terminal.wait_until("the gate", |screen| {
        crate::terminal::shows_pending_approval(screen)
    });
    terminal
}

#[test]
fn a_draft_survives_a_crash() {
    let home = Home::new();
    let mut terminal = at_the_gate(&home, 100, 30);
    terminal.press("!");
    terminal.wait_until("the gate to take keys", |screen| {
        screen.contains("A approve")
    });
    terminal.press_until("c", "the place for words", |screen| screen.contains("send"));
    terminal.press("Prices in cents, please");
    terminal.wait_until("the words", |screen| {
        screen.contains("Prices in cents, please")
    });
    // The promise is half a second after the last key.
    terminal.stays(Duration::from_millis(600));
    terminal.child.kill().unwrap();
    terminal.child.wait().unwrap();

    let mut again = Terminal::open(&home, &[], 100, 30);
    again.wait_until("the resume picker", |screen| {
        screen.contains("interrupted. All progress")
    });
    again.press("\r");
    again.wait_until("the gate again", |screen| {
        crate::terminal::shows_pending_approval(screen)
    });
    again.press_until("!", "the gate view", |screen| screen.contains("A approve"));
    again.press_until("c", "the words again", |screen| {
        screen.contains("Prices in cents, please")
    });
}

#[test]
fn where_nothing_happens_a_console_neither_writes_nor_wakes() {
    let home = Home::new();
    let mut hosting = at_the_gate(&home, 120, 40);
    sleeps(&mut hosting, "the run that waits");
    hosting.press_until("!", "the gate", |screen| screen.contains("A approve"));
    sleeps(&mut hosting, "its gate");
    hosting.press_until("\x1b", "the list", |screen| screen.contains("STATE"));
    sleeps(&mut hosting, "the list of runs");
    let mut attached = Terminal::open(&home, &[], 120, 40);
    attached.wait_until("the list", |screen| {
        screen.contains("attached") && screen.contains("development@1")
    });
    sleeps(&mut attached, "the list of an attached console");
}

/// The quiet that is measured.
const QUIET: Duration = Duration::from_secs(3);

fn sleeps(terminal: &mut Terminal, what: &str) {
    terminal.rest();
    let before = used(terminal);
    assert_eq!(
        terminal.stays(QUIET),
        0,
        "{what}: it writes while nothing happens"
    );
    // Threads that ended meanwhile had nothing to do.
    let spent = used(terminal).into_iter().filter_map(|(task, now)| {
        before
            .get(&task)
            .map(|then| (now.0 - then.0, now.1 - then.1))
    });
    let (woken, busy) = spent.fold((0, Duration::ZERO), |sum, task| {
        (sum.0 + task.0, sum.1 + task.1)
    });
    // A slow look for what the kernel could not tell is all.
    assert!(
        woken <= 4,
        "{what}: woken {woken} times while nothing happened"
    );
    assert!(
        busy < QUIET / 1000,
        "{what}: {busy:?} of a core while nothing happened"
    );
}

/// How often each thread of the program went to sleep so far, and for how long it ran.
fn used(terminal: &Terminal) -> BTreeMap<PathBuf, (u64, Duration)> {
    let tasks = std::fs::read_dir(format!(
        "/proc/{}/task",
        terminal.child.process_id().unwrap()
    ))
    .unwrap();
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        let task = task.unwrap().path();
        // One that ends just now is not counted.
        let status = std::fs::read_to_string(task.join("status")).ok()?;
        let ran = std::fs::read_to_string(task.join("schedstat")).ok()?;
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches"))?
            .to_owned();
        let number = |text: Option<&str>| text.unwrap().parse::<u64>().unwrap();
        Some((
            task,
            (
                number(line.split_whitespace().next_back()),
                Duration::from_nanos(number(ran.split_whitespace().next())),
            ),
        ))
    };
    tasks.filter_map(of_task).collect()
}

#[test]
fn a_second_console_shows_the_same_answers_and_sees_the_host_end() {
    let home = Home::new();
    let mut hosting = at_the_gate(&home, 100, 30);
    let mut attached = Terminal::open(&home, &[], 100, 30);
    attached.wait_until("the list", |screen| {
        screen.contains("attached") && screen.contains("development@1")
    });
    attached.press("!");
    attached.wait_until("the gate to take keys", |screen| {
        screen.contains("A approve") && !screen.contains("Ready in")
    });
    attached.press_until("A", "the question to be sure", |screen| {
        screen.contains("Approve spec v1")
    });
    // A second Enter would leave what the first one led to.
    attached.wait_until("Enter to count", |screen| {
        screen.contains("Enter approves") && !screen.contains("Ready in")
    });
    attached.press("\r");
    attached.wait_until("the answer to count", |screen| screen.contains("In effect"));
    hosting.wait_until("the answer of the other", |screen| {
        screen.contains("approval.resolved")
    });
    hosting.wait_until("the next gate", |screen| {
        screen.contains("plan_approved") || crate::terminal::shows_pending_approval(screen)
    });
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
    // A key, and what its screen shows; each leads on from the one before.
    let tour: &[(&[&str], &str)] = &[
        (&["1"], "1 Phases"),
        (&["t"], "waiting for you"),
        (&["2"], "2 Artifact"),
        (&["]"], "2 Artifact"),
        (&["3"], "3 Cost"),
        (&["4"], "LIVE"),
        (&["k"], "scrolled"),
        (&["/", "spec"], "spec"),
        (&["\x1b", ","], "PAST"),
        (&["5"], "5 Transcript"),
        (&["\x1b[F"], "your approval"),
        (&["x"], "abort"),
        (&["\x1b", "!"], "A approve"),
        (&["c"], "send"),
        (&["\x1b", "\x1b"], "your approval"),
        (&["\x1b"], "STATE"),
        (&["?"], "Everywhere"),
        (&["\x1b", ":"], "Commands"),
        (&["\x1b", "$"], "phasedeck · cost"),
        (&["\x1b", "\x1b[15~"], "phasedeck · doctor"),
        (&["\x1b", "\x1b[17~"], "phasedeck · settings"),
        (&["\x1b", "n"], "phasedeck · new run"),
        (&["\x1b"], "STATE"),
    ];
    let mut sizes = Sizes(7);
    for (keys, what) in tour {
        let (last, before) = keys.split_last().unwrap();
        for key in before {
            terminal.press(key);
            terminal.stays(Duration::from_millis(40));
        }
        terminal.press(last);
        for _ in 0..60 {
            if terminal.stays(Duration::from_millis(20)) == 0 && terminal.text().contains(what) {
                break;
            }
        }
        // A gate takes no key so soon after another.
        terminal.press_until(last, what, |screen| screen.contains(what));
        for (columns, rows) in [(1, 1), (300, 100), (39, 9), (40, 10)]
            .into_iter()
            .chain((0..8).map(|_| sizes.next()))
        {
            terminal.resize(columns, rows);
            terminal.stays(Duration::from_millis(5));
        }
        terminal.resize(80, 24);
        terminal.wait_until(what, |screen| screen.contains(what));
    }
    terminal.press("\x03");
    terminal.wait_until("the question to be sure", |screen| {
        screen.contains("Ctrl-C again")
    });
    terminal.press("\x03");
    terminal.wait_for_end();
    assert!(terminal.is_clean(), "the terminal is as it was");
}

/// Sizes from 1x1 to 300x100 in an order that is the same every time.
struct Sizes(u32);

impl Sizes {
    fn next(&mut self) -> (u16, u16) {
        let mut number = |most: u32| {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            u16::try_from((self.0 >> 16) % most + 1).unwrap()
        };
        (number(300), number(100))
    }
}

#[test]
fn a_console_that_watches_goes_on_under_the_next_host() {
    let home = Home::new();
    let mut first = at_the_gate(&home, 100, 30);
    let mut watches = Terminal::open(&home, &[], 100, 30);
    watches.wait_until("the list", |screen| {
        screen.contains("attached") && screen.contains("development@1")
    });
    watches.press("\r");
    watches.wait_until("the run", |screen| {
        crate::terminal::shows_pending_approval(screen)
    });
    let mut next = Terminal::open(&home, &[], 100, 30);
    next.wait_until("the list", |screen| {
        screen.contains("attached") && screen.contains("development@1")
    });
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    watches.wait_until("word of the end", |screen| screen.contains("no host"));
    next.wait_until("word of the end", |screen| screen.contains("no host"));
    take_over(&mut next);
    watches.wait_until("the next host", |screen| screen.contains("attached"));
    // What the next host did is on its screen: the question was asked anew, and it answers that one.
    watches.press_until("!", "the gate", |screen| {
        screen.contains("A approve") && !screen.contains("Ready in")
    });
    watches.press_until("A", "the question to be sure", |screen| {
        screen.contains("Approve spec v1")
    });
    watches.wait_until("Enter to count", |screen| {
        screen.contains("Enter approves") && !screen.contains("Ready in")
    });
    watches.press("\r");
    // The host that went away paused the run: the answer is kept for when it goes on.
    watches.wait_until("the answer to be kept", |screen| {
        screen.contains("Recorded") && screen.contains("takes effect after resume")
    });
    watches.press("r");
    watches.wait_until("the answer to count", |screen| screen.contains("In effect"));
    next.press("\r");
    next.wait_until("what follows from it", |screen| {
        screen.contains("approval.resolved") || screen.contains("plan_approved")
    });
    watches.press("q");
    watches.wait_for_end();
    assert!(watches.is_clean());
}

fn take_over(terminal: &mut Terminal) {
    terminal.press("H");
    terminal.wait_until("the question", |screen| {
        screen.contains("Take over as host?")
    });
    terminal.stays(Duration::from_millis(900));
    terminal.press("\t");
    terminal.stays(Duration::from_millis(100));
    terminal.press("\r");
    terminal.wait_until("being the host", |screen| {
        screen.contains(" host") && !screen.contains("no host")
    });
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_brings_the_screen_back() {
    let home = Home::new();
    let mut terminal = Terminal::open_in_shell(&home, 100, 30);
    terminal.wait_until("the shell", |screen| screen.contains("ready>"));
    terminal.press(&format!("{}\r", env!("CARGO_BIN_EXE_phasedeck")));
    terminal.wait_until("the console", |screen| screen.contains("commands"));
    for round in 1..3 {
        terminal.press("\x1a");
        // Its own words of this round: those of the one before are on the screen as soon as the console leaves it.
        let stopped = |screen: &str| {
            screen.matches("Stopped").count() == round
                && screen.matches("ready>").count() == round + 1
        };
        terminal.wait_until("the shell again", stopped);
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
        terminal.press_until("n", "the form", |screen| screen.contains("Task"));
    };
    let mut terminal = Terminal::open(&home, &[], 100, 30);
    begun(&mut terminal);
    terminal.press("Prices in cents, please");
    terminal.wait_until("the words", |screen| {
        screen.contains("Prices in cents, please")
    });
    // The promise is half a second after the last key.
    terminal.stays(Duration::from_millis(600));
    terminal.child.kill().unwrap();
    terminal.child.wait().unwrap();

    let mut again = Terminal::open(&home, &[], 100, 30);
    begun(&mut again);
    again.wait_until("the words again", |screen| {
        screen.contains("Prices in cents, please") && screen.contains("draft restored")
    });
}
