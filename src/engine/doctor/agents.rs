//! Checks of ACP agents: well-known programs on PATH, and those in the settings.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{CheckEnvironment, CheckFindings, block_on};
use crate::engine::agent::acp::presets::{on_path, preset};
use crate::engine::agent::acp::{AgentPreset, presets};

/// Time limit for a program to print its version.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn programs(patient: &CheckEnvironment, found: &mut CheckFindings) {
    let all = presets();
    let there: Vec<_> = all
        .iter()
        .filter_map(|(preset, path)| Some((*preset, path.as_deref()?)))
        .collect();
    if there.is_empty() {
        let names: Vec<&str> = all.iter().map(|(preset, _)| preset.name).collect();
        found.ok(
            "on PATH",
            format!("none of {}; none is needed", names.join(", ")),
        );
    }
    let versions = block_on(async {
        futures_util::future::join_all(there.iter().map(|(_, path)| version(path))).await
    });
    for ((preset, path), version) in there.iter().zip(versions.unwrap_or_default()) {
        well_known(preset, path, version.as_deref(), found);
    }
    for (name, agent) in &patient.settings.agents {
        let usual = preset(name).map(|preset| preset.command[0]);
        let Some(program) = agent.command.first().map(String::as_str).or(usual) else {
            continue;
        };
        match on_path(program) {
            Some(path) if agent.confined => {
                found.ok(&format!("agents.{name}"), path.display().to_string())
            }
            Some(path) => found.warn(
                &format!("agents.{name}"),
                format!("{}; not confined", path.display()),
                "it can write wherever you can; set `confined = true` to sandbox it",
            ),
            None => {
                let hint = preset(name).map_or_else(
                    || format!("see 'agents.{name}' in the settings"),
                    |known| known.install.to_owned(),
                );
                found.warn(
                    &format!("agents.{name}"),
                    format!("'{program}' was not found"),
                    hint,
                );
            }
        }
    }
}

fn well_known(preset: &AgentPreset, path: &Path, version: Option<&str>, found: &mut CheckFindings) {
    match version {
        Some(version) => found.ok(preset.name, format!("{version} ({})", path.display())),
        None => found.ok(
            preset.name,
            format!("{}, which does not report its version", path.display()),
        ),
    }
}

/// Returns the first line that `PROGRAM --version` prints; `None` if it prints none in time.
async fn version(program: &Path) -> Option<String> {
    let asked = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .current_dir(std::env::temp_dir())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    output
        .status
        .success()
        .then(|| line.chars().take(80).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_version_is_the_first_line_of_a_successful_program() {
        let dir = tempfile::tempdir().unwrap();
        let program = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        for (name, text, told) in [
            (
                "good",
                "echo; echo 'agent 1.2.3'; echo more",
                Some("agent 1.2.3"),
            ),
            ("bad", "echo 1.2.3; exit 1", None),
            ("mute", "exit 0", None),
        ] {
            let path = program(name, text);
            assert_eq!(block_on(version(&path)).unwrap().as_deref(), told, "{name}");
        }
    }
}
