//! The machine: the terminal, room on the disk, and what the kernel can confine.

use std::path::Path;

use rustix::termios::tcgetwinsize;

use super::{Findings, Patient, size};

const MIB: u64 = 1024 * 1024;
/// Below this much room nothing can be stored for long.
const TOO_LITTLE: u64 = 100 * MIB;
/// Below this much room worktrees may not fit.
const LITTLE: u64 = 1024 * MIB;

pub(super) fn terminal(_: &Patient, found: &mut Findings) {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match variable("TERM") {
        None => found.warn("type", "TERM is not set", "set TERM to what your terminal is, such as xterm-256color"),
        Some(term) if term == "dumb" => found.warn("type", "TERM is dumb: no screen can be shown", "use the commands, or set TERM"),
        Some(term) => found.ok("type", if variable("TMUX").is_some() { format!("{term}, in tmux") } else { term }),
    }
    match tcgetwinsize(std::io::stdout()) {
        Ok(at) if at.ws_col >= 80 && at.ws_row >= 20 => found.ok("size", format!("{}x{}", at.ws_col, at.ws_row)),
        Ok(at) => found.warn("size", format!("{}x{}", at.ws_col, at.ws_row), "80x24 shows more; below 40x10 the console says so and waits"),
        Err(_) => found.warn("size", "standard output is no terminal", "the console needs one; the commands do not"),
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| variable(name)).unwrap_or_default();
    if locale.to_ascii_lowercase().replace('-', "").contains("utf8") {
        found.ok("characters", locale);
    } else {
        let told = if locale.is_empty() { "no locale is set".to_owned() } else { format!("the locale {locale} is not UTF-8") };
        found.warn("characters", told, "set LANG to a UTF-8 locale, or use --ascii");
    }
}

pub(super) fn disk(patient: &Patient, found: &mut Findings) {
    for (name, folder) in [("data", &patient.paths.data), ("state", &patient.paths.state)] {
        let there = folder.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
        room(name, there, found);
        writable(name, folder, there, found);
    }
}

fn room(name: &str, folder: &Path, found: &mut Findings) {
    let name = format!("{name}: room");
    let Ok(stat) = rustix::fs::statvfs(folder) else {
        return found.warn(&name, format!("{} does not tell its room", folder.display()), "look with df");
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let told = format!("{} free in {}", size(free), folder.display());
    match free {
        ..TOO_LITTLE => found.fail(&name, told, "make room: runs wait when nothing can be stored"),
        TOO_LITTLE..LITTLE => found.warn(&name, told, "make room: each run has a worktree of its own"),
        _ => found.ok(&name, told),
    }
}

fn writable(name: &str, folder: &Path, there: &Path, found: &mut Findings) {
    let name = format!("{name}: folder");
    let access = rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
    match access {
        Ok(()) if there == folder => found.ok(&name, folder.display().to_string()),
        Ok(()) => found.ok(&name, format!("{} is made when it is needed", folder.display())),
        Err(error) => {
            let told = format!("{} cannot be written: {error}", there.display());
            found.fail(&name, told, "give yourself the right to write there, or set PHASEDECK_HOME to a folder of yours");
        }
    }
}

pub(super) fn sandbox(_: &Patient, found: &mut Findings) {
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let on = modules.split(',').any(|module| module.trim() == "landlock");
    match landlock_abi(&release) {
        Some(abi) if on => found.ok("Landlock", format!("on; ABI {abi} or later (kernel {release})")),
        Some(_) if modules.is_empty() => found.warn(
            "Landlock",
            format!("the kernel {release} may have it, but does not tell (no /sys/kernel/security)"),
            "file tools are confined without it; give `execute` only to personas you trust",
        ),
        Some(_) => found.warn("Landlock", format!("the kernel {release} has it switched off"), "add landlock to the kernel's lsm= list"),
        None => found.warn(
            "Landlock",
            format!("the kernel {release} is older than 5.13"),
            "file tools are confined without it; give `execute` only to personas you trust",
        ),
    }
}

/// The Landlock ABI that a kernel release brought at least.
fn landlock_abi(release: &str) -> Option<u32> {
    const SINCE: [((u32, u32), u32); 6] = [((6, 12), 6), ((6, 10), 5), ((6, 7), 4), ((6, 2), 3), ((5, 19), 2), ((5, 13), 1)];
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next()?, numbers.next()?);
    SINCE.iter().find(|(since, _)| version >= *since).map(|(_, abi)| *abi)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_release_tells_its_landlock() {
        for (release, abi) in
            [("6.12.3-arch1", Some(6)), ("6.8.0-49-generic", Some(4)), ("5.13", Some(1)), ("5.4.0", None), ("", None), ("7.0", Some(6))]
        {
            assert_eq!(landlock_abi(release), abi, "{release}");
        }
    }
}
