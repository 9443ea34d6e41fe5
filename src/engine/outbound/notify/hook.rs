//! Notification command: receives the notification as JSON on standard input and its text in an
//! environment variable.
//!
//! The setting lists the program and its arguments; no shell is involved. The command is killed
//! after 30 seconds.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::message::NotificationMessage;
use crate::model::error::{Code, Failure, Result};

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the command for a notification.
///
/// # Errors
/// `io_failed` if it cannot be started, exits with a nonzero code, or times out.
pub async fn tell(command: &[String], message: &NotificationMessage) -> Result<()> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    let json = serde_json::to_vec(message).map_err(Failure::internal)?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("PHASEDECK_NOTICE", &message.summary)
        .env("PHASEDECK_NOTICE_RUN", message.run_id.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| Failure::io(format!("cannot start the notify command '{program}'"), &e))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command may ignore its input and use the environment variables only.
        let _ = stdin.write_all(&json).await;
    }
    let refused = |what: String| {
        Failure::new(
            Code::IoFailed,
            format!("the notify command '{program}' {what}"),
        )
        .hint("see 'notify.command'")
    };
    match tokio::time::timeout(PATIENCE, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(refused(format!("ended with {status}"))),
        Ok(Err(e)) => Err(Failure::io(
            format!("cannot wait for the notify command '{program}'"),
            &e,
        )),
        Err(_) => Err(refused(format!(
            "took longer than {} s",
            PATIENCE.as_secs()
        ))),
    }
}
