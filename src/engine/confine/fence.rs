//! Whole programs of the operator's that work for a run: an agent program with its own folders and keys.
//!
//! They need the network and places of their own, so they are held more loosely than commands: they
//! write beneath the worktree and the folders that are named, read what tools need, and reach no socket
//! of another program. The program is begun by this one, called again, which takes away from itself what
//! the program shall not have and then becomes it.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::Protection;

/// The hidden verb of a process that becomes a fenced program.
pub(super) const FENCED: &str = "__fenced";
/// How many processes and threads a program may have beside those that the user has already.
#[cfg(target_os = "linux")]
const MAX_MORE_PROCESSES: u64 = 2048;
const NO_PROGRAM: u8 = 127;

/// What a program may reach besides what everybody may read. Folders that are not there are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// Beneath these it may do everything.
    pub writable: Vec<PathBuf>,
    /// Beneath these it may read and run.
    pub readable: Vec<PathBuf>,
}

impl Fence {
    /// The arguments with which this program becomes `program` within the fence; without one it tells what
    /// is in force.
    #[must_use]
    pub fn words(&self, program: Option<&OsStr>, args: &[OsString]) -> Vec<OsString> {
        let counts = [self.writable.len(), self.readable.len()].map(|count| OsString::from(count.to_string()));
        let folders = self.writable.iter().chain(&self.readable).map(|path| path.clone().into_os_string());
        let program = program.into_iter().map(OsStr::to_owned);
        [OsString::from(FENCED)].into_iter().chain(counts).chain(folders).chain(program).chain(args.iter().cloned()).collect()
    }

    /// The fence that [`words`](Self::words) told of, and the rest.
    fn read(words: &[OsString]) -> Option<(Self, &[OsString])> {
        let count = |at: usize| words.get(at)?.to_str()?.parse::<usize>().ok();
        let (writable, readable) = (count(0)?, count(1)?);
        let folders = words.get(2..)?;
        let (writable, rest) = folders.split_at_checked(writable)?;
        let (readable, rest) = rest.split_at_checked(readable)?;
        let paths = |words: &[OsString]| words.iter().map(PathBuf::from).collect();
        Some((Self { writable: paths(writable), readable: paths(readable) }, rest))
    }
}

/// Confines this process, then becomes the program, or says what is in force.
pub(super) fn serve(words: &[OsString]) -> Option<u8> {
    let (fence, rest) = Fence::read(words)?;
    let protection = fence.stand();
    let Some((program, args)) = rest.split_first() else {
        let text = serde_json::to_string(&protection).unwrap_or_default();
        return Some(u8::from(std::io::stdout().write_all(text.as_bytes()).is_err()));
    };
    let error = Command::new(program).args(args).exec();
    let _ = writeln!(std::io::stderr(), "cannot run {}: {error}", program.display());
    Some(NO_PROGRAM)
}

impl Fence {
    #[cfg(target_os = "linux")]
    fn stand(&self) -> Protection {
        use super::{inner, rules, sockets};
        inner::limit(MAX_MORE_PROCESSES, None);
        let reach = rules::Reach { writable: &self.writable, readable: &self.readable, tcp: true };
        let (files, missing) = inner::kept(rules::keep_within(reach));
        let protection = Protection { files, network: false, tcp: false, sockets: sockets::take_away(), missing };
        inner::drop_capabilities();
        protection
    }

    #[cfg(not(target_os = "linux"))]
    fn stand(&self) -> Protection {
        Protection { missing: "this system has no Landlock".to_owned(), ..Protection::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_fence_is_what_is_read() {
        let os = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        for (writable, readable, program, args) in [
            (vec!["/w", "/t"], vec!["/r"], Some("/bin/x"), vec!["-a", "3"]),
            (vec![], vec![], None, vec![]),
            (vec!["7"], vec!["2", "1"], Some("0"), vec![]),
        ] {
            let paths = |words: &[&str]| words.iter().map(PathBuf::from).collect::<Vec<_>>();
            let fence = Fence { writable: paths(&writable), readable: paths(&readable) };
            let words = fence.words(program.map(OsStr::new), &os(&args));
            let rest = [program.into_iter().collect::<Vec<_>>(), args].concat();
            assert_eq!(Fence::read(&words[1..]), Some((fence, &os(&rest)[..])));
        }
        for nonsense in [&["1"][..], &["x", "0"], &["2", "0", "/a"], &["0", "1"]] {
            assert_eq!(Fence::read(&os(nonsense)), None, "{nonsense:?}");
        }
    }
}
