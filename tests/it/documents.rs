//! Every command in a document is run: the blocks of shell in the README and in `docs/` are typed into
//! a shell in an empty home, line by line, and every block of settings is loaded.
//!
//! Three programs have stand-ins there, each for a reason: see [`STAND_INS`]. A page that is not in
//! [`FOLLOWED`] must have no commands. The guide has a test of its own, for its files too.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::home::Home;
use crate::model_script::{Asked, Script};
use crate::model_server::Reply;
use crate::terminal::Terminal;

/// Who runs the commands of each page.
const FOLLOWED: &[(&str, &str)] = &[
    ("README.md", "a_newcomer_follows_the_readme"),
    (
        "docs/crash-and-recovery.md",
        "the stand-in of cargo: .ci/run runs the same with fewer kills",
    ),
    ("docs/gates.md", "the_commands_about_gates_answer_gates"),
    (
        "docs/guide.md",
        "guide.rs, and the_commands_about_gates_answer_gates for what it leaves to people",
    ),
    ("docs/notices.md", "the_commands_about_notices_take_a_token"),
    ("docs/security.md", "the_commands_about_keys_find_the_key"),
    ("docs/workflows.md", "the_command_about_repositories_asks"),
];

/// `cargo run` would build the program that is tested here, `cargo test` is this, `cargo install` would
/// put a program into the machine; another machine is this one.
const STAND_INS: &str = r#"
cargo() { case "$*" in
  "run --release -- "*) shift 3; phasedeck "$@" ;;
  test|"install --locked --profile dist --path .") ;;
  *) return 3 ;;
esac; }
ssh() { shift; "$@"; }
"#;

/// Every fenced block of a page: what stands behind the ticks, and the text.
pub fn fenced(page: &str) -> Vec<(String, String)> {
    let page = format!("\n{page}");
    let blocks = page
        .split("\n```")
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').unwrap());
    blocks
        .map(|(head, text)| (head.to_owned(), text.to_owned()))
        .collect()
}

/// The text of every block of this kind, page by page.
fn blocks(kind: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![PathBuf::from("README.md"), PathBuf::from("ARCHITECTURE.md")];
    for folder in ["docs", "docs/reference", "docs/adr"] {
        let names = std::fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| Path::new(folder).join(entry.unwrap().file_name()));
        pages.extend(names.filter(|name| name.extension().is_some_and(|ending| ending == "md")));
    }
    pages.sort();
    let mut found = Vec::new();
    for page in pages {
        for (head, text) in fenced(&std::fs::read_to_string(root.join(&page)).unwrap()) {
            if head.split(' ').next() == Some(kind) {
                found.push((page.to_str().unwrap().to_owned(), text));
            }
        }
    }
    found
}

/// The lines of a page's shell blocks, without what is said about them.
fn lines(page: &str) -> Vec<String> {
    let of_page = blocks("sh").into_iter().filter(|(of, _)| of == page);
    let lines: Vec<String> = of_page
        .flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines
        .iter()
        .map(|line| line.split(" #").next().unwrap().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// A shell in an empty home, as somebody new has it before them.
struct Shell {
    terminal: Terminal,
    typed: usize,
}

impl Shell {
    fn open(home: &Home, variables: &[(&str, &str)]) -> Self {
        let mut terminal = Terminal::open_in_shell(home, 120, 40);
        terminal.wait_until("the shell", |screen| screen.contains("ready>"));
        let programs = Path::new(env!("CARGO_BIN_EXE_phasedeck"))
            .parent()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let mut prelude = format!("export PATH={programs}:$PATH\n{STAND_INS}");
        variables
            .iter()
            .for_each(|(name, value)| prelude.push_str(&format!("export {name}={value}\n")));
        let file = home.path().join("prelude.sh");
        std::fs::write(&file, prelude).unwrap();
        let mut shell = Self { terminal, typed: 0 };
        shell.run(&format!(". {}", file.display()));
        shell
    }

    fn type_line(&mut self, line: &str) {
        self.typed += 1;
        self.terminal.press(&format!(
            "clear; {line}; echo \"ended:$?:{}\"\r",
            self.typed
        ));
    }

    /// Waits for the end of what was typed last, which must be a good one.
    fn ended(&mut self, line: &str) {
        let typed = self.typed;
        let end = |screen: &str| {
            screen
                .lines()
                .find_map(|line| Some(line.trim().strip_prefix("ended:")?.to_owned()))
        };
        self.terminal
            .wait_until(&format!("the end of {line}"), |screen| {
                end(screen).is_some_and(|end| end.ends_with(&format!(":{typed}")))
            });
        let told = self.terminal.text();
        assert_eq!(end(&told), Some(format!("0:{typed}")), "{line}\n{told}");
    }

    fn run(&mut self, line: &str) {
        self.type_line(line);
        self.ended(line);
    }

    /// Answers every gate from elsewhere until the run has ended, then leaves the console.
    fn watch(&mut self, home: &Home, line: &str) {
        self.type_line(line);
        self.terminal.wait_until("the first gate", |screen| {
            crate::terminal::shows_pending_approval(screen)
        });
        let deadline = Instant::now() + Duration::from_secs(120);
        while home.newest().state != "completed" {
            assert!(
                Instant::now() < deadline,
                "{line} does not end:\n{}",
                self.terminal.text()
            );
            if !home.archive().pending_approvals().unwrap().is_empty() {
                home.run(&["approve", "@last"]);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let is_over =
            |screen: &str| screen.contains("run.completed") && !screen.contains(" running ");
        self.terminal.wait_until("the end on the screen", is_over);
        self.terminal.press("q");
        self.ended(line);
    }
}

#[test]
fn no_page_has_commands_that_nobody_runs() {
    let mut with_commands: Vec<String> = blocks("sh").into_iter().map(|(page, _)| page).collect();
    with_commands.dedup();
    assert_eq!(
        with_commands,
        FOLLOWED.iter().map(|(page, _)| *page).collect::<Vec<_>>()
    );
    for kind in ["bash", "console", "shell", "shell-session"] {
        assert_eq!(blocks(kind), [], "commands are in blocks of `sh`");
    }
    for line in lines("docs/crash-and-recovery.md") {
        assert!(
            line.starts_with("cargo run --release --features ") && line.contains("--example crash"),
            "{line}"
        );
    }
}

#[test]
fn every_block_of_settings_loads() {
    let blocks = blocks("toml");
    assert!(blocks.len() > 2);
    for (page, text) in blocks {
        let home = Home::new();
        home.configure(&text);
        let output = home.run(&["doctor", "--config"]);
        assert!(
            output.status.success(),
            "{page}:\n{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// An agent that writes what a rehearsal wrote in the same phase, in the name of its own run.
fn like_the_rehearsal(rehearsed: &Home) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static {
    let artifact = |phase: &str| {
        serde_json::from_str::<Value>(&rehearsed.expect(0, &["artifact", "@last", phase])).unwrap()
    };
    let artifacts = ["spec", "plan", "implement", "review", "verify"]
        .map(|phase| (phase.to_owned(), artifact(phase)));
    move |asked| {
        let (_, artifact) = artifacts
            .iter()
            .find(|(phase, _)| *phase == asked.phase)
            .unwrap();
        let mut artifact = artifact.clone();
        artifact["runId"] = asked.run_id.clone().into();
        match asked.turn {
            1 => asked.writes(&artifact),
            _ => Reply::stream()
                .text("It is written.")
                .finish("stop")
                .usage(300, 10, Some("0.0002"))
                .done(),
        }
    }
}

#[test]
fn a_newcomer_follows_the_readme() {
    let home = Home::new();
    let shop = home.repository("your/repository");
    let before = crate::home::git(&shop, &["status", "--porcelain", "--branch"]);
    let mut script = None;
    let mut shell = Shell::open(&home, &[]);
    for line in lines("README.md") {
        match line.as_str() {
            "cargo run --release -- demo"
            | "phasedeck run development -m 'Add a cart to the shop'" => shell.watch(&home, &line),
            "cargo install --locked --profile dist --path ." => {
                // From here on there is a server, which only a real run asks.
                let served = Script::serve(like_the_rehearsal(&home));
                shell.run(&format!(
                    "{line}; export PHASEDECK_OPENAI_BASE_URL={}",
                    served.base_url()
                ));
                script = Some(served);
            }
            _ => shell.run(&line),
        }
    }
    let run = home.newest();
    assert_eq!(
        (run.state.as_str(), run.rehearsal, run.requirements.as_str()),
        ("completed", false, "Add a cart to the shop")
    );
    let requests = script.unwrap().requests();
    assert_eq!(requests.len(), 10, "two turns for each of five phases");
    assert!(
        requests
            .iter()
            .all(|asked| asked.authorization.as_deref() == Some("Bearer …")),
        "the key that was exported"
    );
    assert_eq!(
        crate::home::git(&shop, &["status", "--porcelain", "--branch"]),
        before,
        "your files stay as they are"
    );
    let branch = run.branch.unwrap();
    assert_eq!(
        crate::home::git(&shop, &["rev-list", "--count", &format!("main..{branch}")]).trim(),
        "5",
        "each phase is a commit"
    );
    crate::home::git(&shop, &["merge", "-q", "--ff-only", &branch]);
}

/// A demo that waits at its second version of the specification, and who hosts it.
fn waiting() -> (Home, Child) {
    let home = Home::new();
    let mut host = home
        .command(&["demo", "--headless"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    home.wait_for_question("spec_approved", &mut host);
    home.expect(0, &["changes", "@last", "-m", "Name the country."]);
    home.wait_for_question("spec_approved", &mut host);
    (home, host)
}

#[test]
fn the_commands_about_gates_answer_gates() {
    for page in ["docs/gates.md", "docs/guide.md"] {
        let (home, mut host) = waiting();
        let mut shell = Shell::open(&home, &[]);
        let answers = ["approve ", "changes "].map(|verb| format!("phasedeck {verb}"));
        let about_gates = ["show ", "artifact "].map(|verb| format!("phasedeck {verb}"));
        let lines = lines(page);
        let left: Vec<&String> = match page {
            "docs/guide.md" => lines
                .iter()
                .filter(|line| answers.iter().any(|verb| line.starts_with(verb)))
                .collect(),
            _ => lines.iter().collect(),
        };
        assert_eq!(
            left.iter()
                .filter(|line| answers.iter().any(|verb| line.starts_with(verb)))
                .count(),
            2,
            "{page}"
        );
        let mut gate = "spec_approved";
        for line in left {
            assert!(
                answers
                    .iter()
                    .chain(&about_gates)
                    .any(|verb| line.starts_with(verb)),
                "{page}: {line}"
            );
            let open = home.wait_for_question(gate, &mut host);
            let hash = open.artifact_sha256.unwrap();
            shell.run(&line.replace("3f9c12ab", hash.short()));
            if line.starts_with(&answers[0]) {
                gate = "plan_approved";
            }
        }
        host.kill().unwrap();
        host.wait().unwrap();
        let approvals = home.archive().approvals(home.newest().id).unwrap();
        let actions: Vec<&str> = approvals
            .iter()
            .map(|approval| approval.state.as_str())
            .collect();
        assert_eq!(
            actions[..3],
            ["changes_requested", "approved", "changes_requested"],
            "{page}"
        );
    }
}

#[test]
fn the_commands_about_notices_take_a_token() {
    for line in lines("docs/notices.md") {
        let home = Home::new();
        let token = crate::notices::waiting_at_the_first_gate(&home);
        Shell::open(&home, &[]).run(&line.replace("TOKEN", &token));
        let answered = &home.archive().approvals(home.newest().id).unwrap()[0];
        assert_eq!(answered.via.unwrap().as_str(), "token", "{line}");
    }
}

#[test]
fn the_command_about_repositories_asks() {
    let home = Home::new();
    let top = home.repository("your/repository");
    std::fs::create_dir_all(top.join(".phasedeck/personas")).unwrap();
    std::fs::write(
        top.join(".phasedeck/personas/a.yaml"),
        "name: a\nversion: 1\nbackend: rehearsal\n",
    )
    .unwrap();
    let mut shell = Shell::open(&home, &[]);
    for line in lines("docs/workflows.md") {
        shell.type_line(&line);
        if line == "phasedeck trust" {
            shell
                .terminal
                .wait_until("the question", |screen| screen.contains("[y/N]"));
            shell.terminal.press("y\r");
        }
        shell.ended(&line);
    }
    assert!(
        shell.terminal.text().contains("allowed; any change"),
        "{}",
        shell.terminal.text()
    );
}

#[test]
fn the_commands_about_keys_find_the_key() {
    let home = Home::new();
    let settings: String = blocks("toml")
        .into_iter()
        .filter(|(page, _)| page == "docs/security.md")
        .map(|(_, text)| text)
        .collect();
    home.configure(&settings);
    // A keyring of files: this machine may have none, or somebody's own.
    let keyring = "#!/bin/sh\ncase $1 in store) shift 2; printf 'Password: '; read -r key; echo \"$key\" >\"$HOME/$*\" ;; lookup) shift; cat \"$HOME/$*\" ;; esac\n";
    let program = home.path().join("bin/secret-tool");
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    std::fs::write(&program, keyring).unwrap();
    std::fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let mut shell = Shell::open(&home, &[]);
    shell.run(&format!(
        "unset OPENROUTER_API_KEY; export HOME={0} PATH={0}/bin:$PATH",
        home.path().display()
    ));
    for line in lines("docs/security.md") {
        shell.type_line(&line);
        if line.starts_with("secret-tool store") {
            shell
                .terminal
                .wait_until("the question", |screen| screen.contains("Password: "));
            shell.terminal.press("canary-of-keyring\r");
        }
        shell.ended(&line);
    }
    let told = shell.terminal.text();
    assert!(
        told.contains("keys: openai") && told.contains("the key is printed by 'secret-tool'"),
        "{told}"
    );
    assert!(
        told.contains("ready for 12 personas") && !told.contains("canary"),
        "{told}"
    );
}

/// `cargo run` hands variables of the build script to the program, and the program refuses a variable
/// with its own prefix that names no setting: the first command of the README once failed by that.
#[test]
fn the_build_script_sets_no_variable_that_the_program_reads_as_a_setting() {
    let script = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/build.rs")).unwrap();
    assert!(script.contains("cargo:rustc-env="));
    assert!(!script.contains("rustc-env=PHASEDECK_"));
}
