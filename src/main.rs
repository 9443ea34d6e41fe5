//! The program: arguments in, exit code out; everything else is the library's.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Fails only when a provider is there already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    // A panic on this thread has been told by the hook; it is a defect of ours.
    match std::panic::catch_unwind(|| phasedeck::cli::main(std::env::args_os())) {
        Ok(code) => ExitCode::from(code),
        Err(_) => ExitCode::from(phasedeck::cli::exit::ExitStatus::Defect.code()),
    }
}
