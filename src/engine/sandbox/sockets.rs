//! Denies access to sockets of other programs on this machine.
//!
//! Landlock does not mediate connections to sockets in the file system, and a service manager,
//! container daemon or key agent would act with the user's full rights. A seccomp filter therefore
//! denies `AF_UNIX` and `AF_VSOCK` sockets; `socketpair` still works. It also denies `io_uring`,
//! which could create sockets without a filtered system call.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Unix domain sockets.
const AF_UNIX: u64 = 1;
/// Sockets to the hypervisor.
const AF_VSOCK: u64 = 40;
/// Numbers of the `socket` system call; on x86-64 also the x32 variant.
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
/// Numbers of `io_uring_setup`: seccomp does not see operations submitted to a ring.
const RING: &[i64] = if cfg!(target_arch = "x86_64") {
    &[425, 425 | 1 << 30]
} else {
    &[425]
};
const EPERM: u32 = 1;

/// Installs the filter for this thread and its descendants; returns whether that succeeded.
pub(super) fn deny_sockets() -> bool {
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
