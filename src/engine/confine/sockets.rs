//! Keeps a process from the sockets of others on this machine.
//!
//! Landlock does not ask when a process connects to a socket that lies in the file system, and a user's
//! service manager, a container daemon or an agent of keys would do at its word what it may not do
//! itself. So it gets no such socket at all; pairs of sockets among its own processes stay. What could
//! make sockets unseen goes with it.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Sockets of this machine, named by a path.
const AF_UNIX: u64 = 1;
/// Sockets to whatever runs this machine.
const AF_VSOCK: u64 = 40;
/// The system call `socket`, by its numbers here.
#[cfg(target_arch = "x86_64")]
const SOCKET: &[i64] = &[41, 41 | 1 << 30];
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
const SOCKET: &[i64] = &[198];
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
const SOCKET: &[i64] = &[];
/// The system call `io_uring_setup`, which does anything that others do, unseen.
const RING: &[i64] = if cfg!(target_arch = "x86_64") {
    &[425, 425 | 1 << 30]
} else {
    &[425]
};
/// Operation not permitted.
const EPERM: u32 = 1;

/// Takes the sockets away from this thread and all that it begins; says whether that could be done.
pub(super) fn take_away() -> bool {
    filter().is_some_and(|filter| apply_filter(&filter).is_ok())
}

fn filter() -> Option<BpfProgram> {
    if SOCKET.is_empty() {
        return None;
    }
    let of = |family| {
        let condition =
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family).ok()?;
        SeccompRule::new(vec![condition]).ok()
    };
    let refused = vec![of(AF_UNIX)?, of(AF_VSOCK)?];
    let sockets = SOCKET.iter().map(|call| (*call, refused.clone()));
    let rules: BTreeMap<_, _> = sockets
        .chain(RING.iter().map(|call| (*call, Vec::new())))
        .collect();
    let target = TargetArch::try_from(std::env::consts::ARCH).ok()?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(EPERM),
        target,
    )
    .ok()?;
    filter.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_filter_wherever_the_calls_have_known_numbers() {
        assert_eq!(filter().is_some(), !SOCKET.is_empty());
    }
}
