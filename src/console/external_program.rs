//! Runs an external program on the terminal: the operator's editor on a copy, or the pager.
//!
//! The terminal is restored, the program runs, and the saved terminal settings are restored again
//! before the console takes over, however the program ended. The keyboard is locked meanwhile, so
//! that none of the program's input reaches the console. The edited copy is in a private directory
//! and stays there until its text is stored; the worktree is never touched from here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use crate::app::msg::{ExternalProgram, ExternalResult, PagerText};
use crate::app::text::document::TextDocument;
use crate::engine::api::RunArchive;
use crate::engine::paths::{InstallPaths, create_private_dir};
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::id::RequestId;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Poll interval for the program's exit.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);

/// An external program to run, and how to interpret its exit.
pub struct ExternalJob {
    command: Command,
    program: String,
    kind: ExternalJobKind,
    /// Removed when the job is done.
    _folder: Option<tempfile::TempDir>,
}

enum ExternalJobKind {
    Edit {
        request_id: RequestId,
        copy: PathBuf,
        before: ContentHash,
    },
    Wish {
        folder: PathBuf,
        copy: PathBuf,
        before: ContentHash,
    },
    Page,
}

impl ExternalJob {
    /// Writes the program's input file and resolves the program.
    ///
    /// # Errors
    /// Errors of the archive and of the file system.
    pub fn prepare(paths: &InstallPaths, outside: &ExternalProgram) -> Result<Self> {
        match outside {
            ExternalProgram::Edit {
                request_id,
                sha256,
                path,
            } => Self::edit(paths, *request_id, sha256, path),
            ExternalProgram::Wish { text } => Self::edit_task(paths, text),
            ExternalProgram::Page { name, text } => Self::page(paths, name, text),
        }
    }

    fn edit(
        paths: &InstallPaths,
        request_id: RequestId,
        sha256: &ContentHash,
        path: &str,
    ) -> Result<Self> {
        let folder = edit_folder(paths, request_id);
        create_private_dir(&folder)?;
        let copy = folder.join(file_name(path));
        // Reopen an earlier edit that was not accepted.
        if !copy.exists() {
            write(&copy, &RunArchive::open(paths)?.content(sha256)?)?;
        }
        let (command, program) = chosen(&["VISUAL", "EDITOR"], "vi", &copy);
        Ok(Self {
            command,
            program,
            kind: ExternalJobKind::Edit {
                request_id,
                copy,
                before: sha256.clone(),
            },
            _folder: None,
        })
    }

    /// The folder is named by the text, so that what an editor was left with is opened again only where
    /// it began from the same words.
    fn edit_task(paths: &InstallPaths, text: &str) -> Result<Self> {
        let before = ContentHash::from_bytes(text.as_bytes());
        let folder = paths
            .state
            .join("edits")
            .join(format!("wish-{}", before.short()));
        create_private_dir(&folder)?;
        let copy = folder.join("wish.md");
        if !copy.exists() {
            write(&copy, text.as_bytes())?;
        }
        let (command, program) = chosen(&["VISUAL", "EDITOR"], "vi", &copy);
        Ok(Self {
            command,
            program,
            kind: ExternalJobKind::Wish {
                folder,
                copy,
                before,
            },
            _folder: None,
        })
    }

    fn page(paths: &InstallPaths, name: &str, text: &PagerText) -> Result<Self> {
        let bytes = match text {
            PagerText::Content(hash) => plain(&TextDocument::from_content(
                name,
                &RunArchive::open(paths)?.content(hash)?,
            )),
            PagerText::Text(doc) => plain(doc),
        };
        create_private_dir(&paths.state)?;
        let folder = tempfile::TempDir::new_in(&paths.state)
            .map_err(|e| Failure::io("cannot create a directory for the pager", &e))?;
        let file = folder.path().join(file_name(name));
        write(&file, bytes.as_bytes())?;
        let (command, program) = chosen(&["PAGER"], "less", &file);
        Ok(Self {
            command,
            program,
            kind: ExternalJobKind::Page,
            _folder: Some(folder),
        })
    }

    /// Starts the program; the terminal must have been restored before.
    ///
    /// # Errors
    /// `io_failed` if the program cannot be started.
    pub fn start(&mut self) -> Result<Child> {
        self.command.spawn().map_err(|e| {
            Failure::io(format!("cannot run {}", self.program), &e)
                .hint("name another one in $VISUAL, $EDITOR or $PAGER; nothing was sent")
        })
    }

    /// Interprets the program's exit.
    #[must_use]
    pub fn ended(self, status: std::io::Result<ExitStatus>) -> ExternalResult {
        match (status, self.kind) {
            (
                Ok(status),
                ExternalJobKind::Edit {
                    request_id,
                    copy,
                    before,
                },
            ) if status.success() => edited(request_id, &copy, &before),
            (
                Ok(status),
                ExternalJobKind::Wish {
                    folder,
                    copy,
                    before,
                },
            ) if status.success() => task_edited(&folder, &copy, &before),
            (Ok(status), ExternalJobKind::Page) if status.success() => ExternalResult::Read,
            (Ok(status), kind) => {
                let kept = match kind {
                    ExternalJobKind::Edit { .. } => "nothing was sent; e reopens your text",
                    ExternalJobKind::Wish { .. } => {
                        "the task is unchanged; the editor reopens your text"
                    }
                    ExternalJobKind::Page => "",
                };
                ExternalResult::Failed(
                    Failure::new(
                        Code::IoFailed,
                        format!("{} failed ({status})", self.program),
                    )
                    .hint(kept),
                )
            }
            (Err(error), _) => ExternalResult::Failed(Failure::io(
                format!("cannot wait for {}", self.program),
                &error,
            )),
        }
    }
}

/// The pager gets sanitized lines, as the screen does.
fn plain(doc: &TextDocument) -> String {
    doc.lines
        .iter()
        .flat_map(|line| [line.text.as_str(), "\n"])
        .collect()
}

fn task_edited(folder: &Path, copy: &Path, before: &ContentHash) -> ExternalResult {
    let bytes = match std::fs::read(copy) {
        Ok(bytes) => bytes,
        Err(error) => {
            return ExternalResult::Failed(Failure::io(
                format!("cannot read the edited text in {}", copy.display()),
                &error,
            ));
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return ExternalResult::Failed(
            Failure::new(Code::UsageInvalid, "the edited text is not UTF-8")
                .hint("the task is unchanged"),
        );
    };
    // A leftover file is harmless: the form has the text.
    let _ = std::fs::remove_dir_all(folder);
    // Editors append a final newline, which is not part of the task.
    let same = [text.as_str(), text.trim_end_matches('\n')]
        .into_iter()
        .any(|text| ContentHash::from_bytes(text.as_bytes()) == *before);
    if same {
        ExternalResult::Unchanged
    } else {
        ExternalResult::Wished(text)
    }
}

fn edited(request_id: RequestId, copy: &Path, before: &ContentHash) -> ExternalResult {
    let bytes = match std::fs::read(copy) {
        Ok(bytes) => bytes,
        Err(error) => {
            return ExternalResult::Failed(Failure::io(
                format!("cannot read the edited text in {}", copy.display()),
                &error,
            ));
        }
    };
    if ContentHash::from_bytes(&bytes) == *before {
        return ExternalResult::Unchanged;
    }
    match String::from_utf8(bytes) {
        Ok(content) => ExternalResult::Edited {
            request_id,
            content,
        },
        Err(_) => ExternalResult::Failed(
            Failure::new(Code::UsageInvalid, "the edited text is not UTF-8")
                .hint("nothing was sent; e reopens it"),
        ),
    }
}

/// Removes the copy made for a gate.
pub fn drop_edit(paths: &InstallPaths, request_id: RequestId) {
    // A leftover copy is harmless: no other gate uses its name.
    let _ = std::fs::remove_dir_all(edit_folder(paths, request_id));
}

fn edit_folder(paths: &InstallPaths, request_id: RequestId) -> PathBuf {
    paths.state.join("edits").join(request_id.to_string())
}

/// Returns the file name, sanitized; editors choose syntax highlighting by it.
fn file_name(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or(path);
    let name: String = last
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        .collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() {
        "text".to_owned()
    } else {
        name.to_owned()
    }
}

/// Returns the program and arguments from the first variable set; no shell is involved.
fn chosen(variables: &[&str], otherwise: &str, file: &Path) -> (Command, String) {
    let named = variables
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|text| !text.trim().is_empty());
    let named = named.unwrap_or_else(|| otherwise.to_owned());
    let mut words = named.split_whitespace().map(OsString::from);
    let program = words.next().unwrap_or_else(|| otherwise.into());
    let mut command = Command::new(&program);
    command.args(words).arg(file);
    let name = Path::new(&program)
        .file_name()
        .map_or_else(|| program.to_string_lossy(), |name| name.to_string_lossy());
    (command, name.into_owned())
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |e: std::io::Error| Failure::io(format!("cannot write {}", file.display()), &e);
    let mut open = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(failed)?;
    open.write_all(bytes)
        .and_then(|()| open.sync_data())
        .map_err(failed)
}

/// Terminal settings saved before an external program runs.
pub struct TerminalSettings(Option<Termios>);

impl TerminalSettings {
    /// Saves the current settings.
    #[must_use]
    pub fn remember() -> Self {
        Self(tcgetattr(std::io::stdin()).ok())
    }

    /// Restores the settings and resets modes that a killed program may have left on.
    pub fn restore(self) {
        use std::io::Write as _;
        if let Some(before) = self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &before);
        }
        // Plain style, whole screen, ordinary keys, no mouse.
        let mut out = std::io::stdout().lock();
        let _ = out
            .write_all(b"\x1b[m\x1b[r\x1b[?1l\x1b>\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l")
            .and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_for_an_editor_is_plain_and_keeps_its_ending() {
        for (path, name) in [
            ("out/spec.json", "spec.json"),
            ("../x/.. ", "text"),
            ("-rf", "rf"),
            (".vimrc", "vimrc"),
            ("", "text"),
            ("a b;c.md", "abc.md"),
        ] {
            assert_eq!(file_name(path), name, "{path}");
        }
    }

    fn status(code: i32) -> std::io::Result<ExitStatus> {
        use std::os::unix::process::ExitStatusExt as _;
        Ok(ExitStatus::from_raw(code))
    }

    #[test]
    fn what_an_editor_leaves_is_told_apart_and_a_text_that_was_not_taken_is_opened_again() {
        let home = tempfile::tempdir().unwrap();
        let paths = InstallPaths::beneath(home.path());
        let request_id = RequestId(uuid::Uuid::from_u128(7));
        let folder = edit_folder(&paths, request_id);
        let before = ContentHash::from_bytes(b"one");
        create_private_dir(&folder).unwrap();
        write(&folder.join("spec.json"), b"one").unwrap();
        let errand = || {
            ExternalJob::prepare(
                &paths,
                &ExternalProgram::Edit {
                    request_id,
                    sha256: before.clone(),
                    path: "out/spec.json".to_owned(),
                },
            )
            .unwrap()
        };
        assert_eq!(errand().ended(status(0)), ExternalResult::Unchanged);
        std::fs::write(folder.join("spec.json"), b"two").unwrap();
        assert_eq!(
            errand().ended(status(0)),
            ExternalResult::Edited {
                request_id,
                content: "two".to_owned()
            }
        );
        let ExternalResult::Failed(killed) = errand().ended(status(9)) else {
            panic!("killed")
        };
        assert!(
            killed.message.contains("signal: 9") && killed.hint.contains("e reopens your text"),
            "{killed}"
        );
        assert_eq!(
            std::fs::read(folder.join("spec.json")).unwrap(),
            b"two",
            "it is kept"
        );
        std::fs::write(folder.join("spec.json"), [0xff]).unwrap();
        assert!(matches!(
            errand().ended(status(0)),
            ExternalResult::Failed(_)
        ));
        drop_edit(&paths, request_id);
        assert!(!folder.exists());
    }

    #[test]
    fn a_wish_comes_back_changed_unchanged_or_is_kept_for_the_next_time() {
        let home = tempfile::tempdir().unwrap();
        let paths = InstallPaths::beneath(home.path());
        let errand = || {
            ExternalJob::prepare(
                &paths,
                &ExternalProgram::Wish {
                    text: "a cart".to_owned(),
                },
            )
            .unwrap()
        };
        let copy = || {
            let folder = std::fs::read_dir(paths.state.join("edits"))
                .unwrap()
                .next()
                .unwrap()
                .unwrap();
            folder.path().join("wish.md")
        };
        let first = errand();
        std::fs::write(copy(), "a cart\n").unwrap();
        assert_eq!(
            first.ended(status(0)),
            ExternalResult::Unchanged,
            "an editor ends the last line"
        );
        let second = errand();
        assert_eq!(std::fs::read_to_string(copy()).unwrap(), "a cart");
        std::fs::write(copy(), "two carts\n").unwrap();
        let ExternalResult::Failed(killed) = second.ended(status(9)) else {
            panic!("killed")
        };
        assert!(killed.hint.contains("reopens your text"), "{killed}");
        let third = errand();
        assert_eq!(
            third.ended(status(0)),
            ExternalResult::Wished("two carts\n".to_owned())
        );
        assert_eq!(
            std::fs::read_dir(paths.state.join("edits"))
                .unwrap()
                .count(),
            0
        );
    }
}
