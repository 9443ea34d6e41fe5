//! Power loss: the system calls of a whole story are recorded, and disks are created from them that
//! contain everything flushed and a random part of the rest.
//!
//! Written bytes are durable from the next `fsync` of their file on, names (a new, renamed or
//! removed file, a new directory) from the next `fsync` of their directory on. Of what is not yet
//! durable, any part may be present, down to the sector. Everything the child had acknowledged by
//! then must be found on each disk.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use phasedeck::engine::paths::InstallPaths;
use phasedeck::store::failpoint::planted::Bug;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::CrashResult;
use crate::invariants;
use crate::model::CrashModel;
use crate::story::{CrashHome, CrashStory};

const SECTOR: usize = 512;
/// Stories whose acknowledgements refer to the data directory only; flushing a repository is up to
/// git.
pub const STORIES: [CrashStory; 3] = [CrashStory::Http, CrashStory::Two, CrashStory::Ends];
const CALLS: &str = "openat,write,writev,pwrite64,lseek,ftruncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,\
                     mkdir,mkdirat,fsync,fdatasync,syncfs,close";

/// Creates `images` disks per story. Returns a message for each one that lost acknowledged data.
pub fn play(images: usize, seed: u64, bug: Option<Bug>) -> CrashResult<Option<Vec<String>>> {
    if Command::new("strace")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!(
            "skipped: power loss requires strace to record system calls, which is not installed"
        );
        return Ok(None);
    }
    let mut lost = Vec::new();
    for story in STORIES {
        let model = CrashModel::start()?;
        let home = CrashHome::new(story, &model.base_url())?;
        let trace = record(&home, bug)?;
        let calls = parse(&trace, home.dir.path());
        let mut dice = StdRng::seed_from_u64(seed);
        let mut moments: Vec<usize> = (0..images)
            .map(|_| dice.random_range(1..=calls.len()))
            .collect();
        moments.sort_unstable();
        let mut disk = TracedDisk::default();
        let mut done = 0;
        for moment in moments {
            for call in &calls[done..moment] {
                disk.take(call);
            }
            done = moment;
            let image = disk.image(&home, &mut dice)?;
            let broken = invariants::after_power_loss(&image)?;
            lost.extend(broken.into_iter().take(1).map(|words| {
                format!(
                    "{}, call {moment} of {}: {words}",
                    story.name(),
                    calls.len()
                )
            }));
        }
    }
    Ok(Some(lost))
}

fn record(home: &CrashHome, bug: Option<Bug>) -> CrashResult<Vec<String>> {
    let file = home.dir.path().with_extension("strace");
    let child = home.child()?;
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-y", "-xx", "-s", "100000000", "-e"])
        .arg(format!("trace={CALLS}"))
        .arg("-o")
        .arg(&file);
    strace
        .arg(child.get_program())
        .args(child.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    strace.envs(bug.map(|bug| ("PHASEDECK_PLANTED_BUG", bug.as_str())));
    let status = strace.status()?;
    let text = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
    std::fs::remove_file(&file)?;
    if !status.success() {
        return Err(format!("the recorded story failed: {status}").into());
    }
    Ok(text.lines().map(str::to_owned).collect())
}

/// Effect of a system call on the disk.
#[derive(Debug)]
enum DiskCall {
    Made(PathBuf),
    MadeFolder(PathBuf),
    Written {
        path: PathBuf,
        at: Option<usize>,
        bytes: Vec<u8>,
    },
    Cut(PathBuf, usize),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
    Synced(PathBuf),
    AllSynced,
}

/// Parses the calls below `home`, joining the two lines of interrupted calls.
fn parse(lines: &[String], home: &Path) -> Vec<DiskCall> {
    let mut begun = HashMap::new();
    let mut reader = TraceParser {
        home: home.to_path_buf(),
        at: HashMap::new(),
    };
    let mut calls = Vec::new();
    for line in lines {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(first) = rest.strip_suffix("<unfinished ...>") {
            begun.insert(pid.to_owned(), first.trim_end().to_owned());
            continue;
        }
        let whole = match rest
            .strip_prefix("<... ")
            .and_then(|rest| rest.split_once("resumed>"))
        {
            Some((_, last)) => begun.remove(pid).unwrap_or_default() + last,
            None => rest.to_owned(),
        };
        reader.call(&whole, &mut calls);
    }
    calls
}

struct TraceParser {
    home: PathBuf,
    /// Write position of each open file; absent for files opened for appending.
    at: HashMap<String, usize>,
}

impl TraceParser {
    fn call(&mut self, text: &str, calls: &mut Vec<DiskCall>) -> Option<()> {
        let (name, rest) = text.split_once('(')?;
        let (args, result) = rest.rsplit_once(" = ")?;
        let args = args.trim_end();
        let count: i64 = result.split([' ', '<']).next()?.parse().ok()?;
        if count < 0 {
            return None;
        }
        let texts = texts(args);
        let file = described(args);
        let fd = args.split('<').next().unwrap_or_default().to_owned();
        match name {
            "openat" => self.opened(args, result, calls)?,
            "write" | "writev" | "pwrite64" => {
                let mut bytes: Vec<u8> = texts.concat();
                bytes.truncate(usize::try_from(count).ok()?);
                let at = match name {
                    "pwrite64" => Some(
                        args.trim_end_matches(')')
                            .rsplit(", ")
                            .next()?
                            .parse()
                            .ok()?,
                    ),
                    _ => self.at.get(&fd).copied(),
                };
                if name != "pwrite64" {
                    self.at.entry(fd).and_modify(|at| *at += bytes.len());
                }
                calls.push(DiskCall::Written {
                    path: self.mine(file?)?,
                    at,
                    bytes,
                });
            }
            "lseek" => {
                self.at.insert(fd, usize::try_from(count).ok()?);
            }
            "ftruncate" => calls.push(DiskCall::Cut(
                self.mine(file?)?,
                args.trim_end_matches(')')
                    .rsplit(", ")
                    .next()?
                    .parse()
                    .ok()?,
            )),
            "rename" => calls.push(DiskCall::Renamed(
                self.mine(path(&texts[0]))?,
                self.mine(path(texts.get(1)?))?,
            )),
            "renameat" | "renameat2" => {
                let (from, to) = args.split_once("\", ")?;
                calls.push(DiskCall::Renamed(
                    self.mine(beneath(&format!("{from}\""))?)?,
                    self.mine(beneath(to)?)?,
                ));
            }
            "unlink" => calls.push(DiskCall::Removed(self.mine(path(texts.first()?))?)),
            "unlinkat" => calls.push(DiskCall::Removed(self.mine(beneath(args)?)?)),
            "mkdir" => calls.push(DiskCall::MadeFolder(self.mine(path(texts.first()?))?)),
            "mkdirat" => calls.push(DiskCall::MadeFolder(self.mine(beneath(args)?)?)),
            "fsync" | "fdatasync" => calls.push(DiskCall::Synced(self.mine(file?)?)),
            "syncfs" => calls.push(DiskCall::AllSynced),
            "close" => {
                self.at.remove(fd.trim_end_matches(')'));
            }
            _ => {}
        }
        Some(())
    }

    fn opened(&mut self, args: &str, result: &str, calls: &mut Vec<DiskCall>) -> Option<()> {
        let file = self.mine(described(result)?)?;
        let fd = result.split('<').next()?.to_owned();
        if args.contains("O_APPEND") {
            self.at.remove(&fd);
        } else {
            self.at.insert(fd, 0);
        }
        if args.contains("O_CREAT") {
            calls.push(DiskCall::Made(file.clone()));
        }
        if args.contains("O_TRUNC") {
            calls.push(DiskCall::Cut(file, 0));
        }
        Some(())
    }

    fn mine(&self, path: PathBuf) -> Option<PathBuf> {
        path.strip_prefix(&self.home).ok().map(Path::to_path_buf)
    }
}

/// Every quoted text, its bytes.
fn texts(args: &str) -> Vec<Vec<u8>> {
    args.split('"').skip(1).step_by(2).map(bytes).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.split("\\x")
        .skip(1)
        .filter_map(|pair| u8::from_str_radix(pair.get(..2)?, 16).ok())
        .collect()
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// Path in the description of an open file.
fn described(text: &str) -> Option<PathBuf> {
    let (inner, _) = text.split_once('<')?.1.split_once('>')?;
    Some(path(&bytes(inner)))
}

/// Path of a name relative to an open directory.
fn beneath(args: &str) -> Option<PathBuf> {
    Some(described(args)?.join(path(texts(args).first()?)))
}

#[derive(Clone, Debug)]
enum FileChange {
    Write(usize, Vec<u8>),
    Cut(usize),
}

#[derive(Clone, Debug)]
enum NameChange {
    Made(PathBuf, usize),
    Folder(PathBuf),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

#[derive(Default)]
struct TracedFile {
    durable: Vec<u8>,
    pending: Vec<FileChange>,
    length: usize,
}

/// A disk after the calls so far: what is durable, and what is pending.
#[derive(Default)]
struct TracedDisk {
    files: Vec<TracedFile>,
    live: BTreeMap<PathBuf, usize>,
    durable: NameTable,
    pending: Vec<NameChange>,
}

#[derive(Clone, Default)]
struct NameTable {
    files: BTreeMap<PathBuf, usize>,
    folders: Vec<PathBuf>,
}

impl NameTable {
    fn take(&mut self, name: &NameChange) {
        match name {
            NameChange::Made(path, file) => {
                self.files.insert(path.clone(), *file);
            }
            NameChange::Folder(path) => self.folders.push(path.clone()),
            NameChange::Renamed(from, to) => {
                let moved = self.files.remove(from).map(|file| (to.clone(), file));
                self.files.extend(moved);
            }
            NameChange::Removed(path) => {
                self.files.remove(path);
            }
        }
    }
}

impl TracedDisk {
    fn take(&mut self, call: &DiskCall) {
        match call {
            DiskCall::Made(path) if self.live.contains_key(path) => {}
            DiskCall::Made(path) => {
                self.files.push(TracedFile::default());
                self.live.insert(path.clone(), self.files.len() - 1);
                self.pending
                    .push(NameChange::Made(path.clone(), self.files.len() - 1));
            }
            DiskCall::MadeFolder(path) => self.pending.push(NameChange::Folder(path.clone())),
            DiskCall::Written { path, at, bytes } => {
                let Some(file) = self.file(path) else { return };
                let at = at.unwrap_or(file.length);
                file.length = file.length.max(at + bytes.len());
                file.pending.push(FileChange::Write(at, bytes.clone()));
            }
            DiskCall::Cut(path, length) => {
                let Some(file) = self.file(path) else { return };
                file.length = *length;
                file.pending.push(FileChange::Cut(*length));
            }
            DiskCall::Renamed(from, to) => {
                let moved = self.live.remove(from).map(|file| (to.clone(), file));
                self.live.extend(moved);
                self.pending
                    .push(NameChange::Renamed(from.clone(), to.clone()));
            }
            DiskCall::Removed(path) => {
                self.live.remove(path);
                self.pending.push(NameChange::Removed(path.clone()));
            }
            DiskCall::Synced(path) => self.sync(path),
            DiskCall::AllSynced => {
                self.files.iter_mut().for_each(TracedFile::sync);
                self.pending
                    .drain(..)
                    .for_each(|name| self.durable.take(&name));
            }
        }
    }

    fn file(&mut self, path: &Path) -> Option<&mut TracedFile> {
        self.live.get(path).map(|file| &mut self.files[*file])
    }

    fn sync(&mut self, path: &Path) {
        if let Some(file) = self.file(path) {
            return file.sync();
        }
        let within = |name: &NameChange| match name {
            NameChange::Made(known, _) | NameChange::Folder(known) | NameChange::Removed(known) => {
                known.parent() == Some(path)
            }
            NameChange::Renamed(from, to) => {
                from.parent() == Some(path) || to.parent() == Some(path)
            }
        };
        let (durable, pending) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(within);
        self.pending = pending;
        durable.iter().for_each(|name| self.durable.take(name));
    }

    /// Creates one of the possible disks after a power loss.
    fn image(&self, home: &CrashHome, dice: &mut StdRng) -> CrashResult<CrashHome> {
        let image = CrashHome {
            dir: tempfile::Builder::new().prefix("power-").tempdir()?,
            story: home.story,
        };
        let mut names = self.durable.clone();
        let kept = dice.random_range(0..=self.pending.len());
        self.pending[..kept]
            .iter()
            .for_each(|name| names.take(name));
        let root = image.dir.path();
        let paths = InstallPaths::beneath(root);
        paths.create()?;
        // The operator's directories existed before; those of phasedeck exist once their names are
        // durable.
        let ours = |path: &Path| {
            path.ancestors()
                .skip(1)
                .filter(|folder| folder.components().count() > 1)
                .all(|folder| names.folders.iter().any(|known| known == folder))
        };
        for (path, file) in &names.files {
            if !path.starts_with("data") && !path.starts_with("state") || !ours(path) {
                continue;
            }
            let to = root.join(path);
            to.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(to, self.files[*file].after_loss(dice))?;
        }
        // Acknowledgements were given, whether or not their record is durable.
        if let Some(acks) = self.live.get(Path::new("acks")) {
            std::fs::write(image.acks(), self.files[*acks].whole())?;
        }
        Ok(image)
    }
}

impl TracedFile {
    fn sync(&mut self) {
        self.durable = self.whole();
        self.pending.clear();
    }

    fn whole(&self) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        self.pending
            .iter()
            .for_each(|change| apply(&mut bytes, change));
        bytes
    }

    fn after_loss(&self, dice: &mut StdRng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            match (change, [0, 1, 2].choose(dice)) {
                (_, Some(0)) => {}
                (FileChange::Write(at, written), Some(1)) if written.len() > SECTOR => {
                    let kept = dice.random_range(0..written.len() / SECTOR) * SECTOR;
                    apply(
                        &mut bytes,
                        &FileChange::Write(*at, written[..kept].to_vec()),
                    );
                }
                (change, _) => apply(&mut bytes, change),
            }
        }
        bytes
    }
}

fn apply(bytes: &mut Vec<u8>, change: &FileChange) {
    match change {
        FileChange::Cut(length) => bytes.resize(*length, 0),
        FileChange::Write(at, written) => {
            bytes.resize(bytes.len().max(at + written.len()), 0);
            bytes[*at..at + written.len()].copy_from_slice(written);
        }
    }
}
