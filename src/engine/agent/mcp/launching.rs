//! How a server of tools is begun: its program, its variables, and the fence around it where it has one.
//!
//! A server is confined where its settings say so: it is the operator's own program, and many need what
//! confined ones cannot have (the socket of a container daemon, files of the home). One that is confined is
//! held as agent programs are: it writes beneath the worktree, a temp folder and the folders that are named
//! for it, and the network stays open.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::engine::agent::acp::presets::on_path;
use crate::engine::agent::acp::sandbox_paths::{OwnedPath, SandboxPaths, fence};
use crate::engine::agent::program::AgentLaunch;
use crate::engine::sandbox::SandboxProtection;
use crate::model::error::{Code, Failure, Result};
use crate::model::settings::McpSettings;
use tempfile::TempDir;

/// Where those who begin servers keep what they fetch: npx, uvx.
const FETCHED: [OwnedPath; 3] = [
    OwnedPath::Home(".npm"),
    OwnedPath::Everywhere("uv"),
    OwnedPath::Everywhere("npm"),
];

/// Where the servers of an attempt work.
pub(super) struct LaunchDirectory {
    worktree: PathBuf,
    repository: Option<PathBuf>,
    /// For temporary files of those that are confined.
    temp: Option<TempDir>,
}

impl LaunchDirectory {
    /// A place; where servers are `confined` with a folder for temporary files that goes with it.
    ///
    /// # Errors
    /// `io_failed`.
    pub(super) fn new(worktree: &Path, repository: Option<&Path>, confined: bool) -> Result<Self> {
        let temp = confined
            .then(|| tempfile::Builder::new().prefix("phasedeck-").tempdir())
            .transpose();
        let temp = temp.map_err(|error| Failure::io("no folder for temporary files", &error))?;
        Ok(Self {
            worktree: worktree.to_path_buf(),
            repository: repository.map(Path::to_path_buf),
            temp,
        })
    }

    pub(super) fn worktree(&self) -> &Path {
        &self.worktree
    }

    /// How a server is begun here.
    ///
    /// # Errors
    /// As [`program`].
    pub(super) fn launch(&self, name: &str, settings: &McpSettings) -> Result<AgentLaunch> {
        let worktree = self.worktree.to_string_lossy();
        let mut launch = AgentLaunch {
            program: program(name, settings)?,
            args: settings
                .command
                .iter()
                .skip(1)
                .map(|arg| arg.replace("{worktree}", &worktree))
                .collect(),
            env: settings.env.clone(),
            pass_env: settings.pass_env.clone(),
            fence: None,
        };
        if let (true, Some(temp)) = (settings.confined, &self.temp) {
            let temp = temp.path();
            for variable in ["TMPDIR", "TMP", "TEMP"] {
                launch
                    .env
                    .insert(variable.to_owned(), temp.to_string_lossy().into_owned());
            }
            let (more, repository) = (&settings.own_folders, self.repository.as_deref());
            let grounds = SandboxPaths {
                own: &FETCHED,
                more,
                worktree: &self.worktree,
                temp,
                repository,
                looked_for: &[],
            };
            launch.fence = Some(fence(&launch, &grounds));
        }
        Ok(launch)
    }
}

/// The settings of a server.
///
/// # Errors
/// `backend_unavailable` when there are none.
pub(super) fn named<'a>(
    servers: &'a BTreeMap<String, McpSettings>,
    name: &str,
) -> Result<&'a McpSettings> {
    let missing = || {
        unavailable(
            format!("no server of tools is named '{name}'"),
            "write it into config.toml as [mcp.NAME]",
        )
    };
    servers.get(name).ok_or_else(missing)
}

/// Where the program of a server lies.
///
/// # Errors
/// `backend_unavailable` when no command is given, or its program is not here.
pub(super) fn program(name: &str, settings: &McpSettings) -> Result<PathBuf> {
    let Some(program) = settings.command.first() else {
        return Err(unavailable(
            format!("mcp.{name} has no command"),
            "write its command into config.toml",
        ));
    };
    let gone = || {
        unavailable(
            format!("the program '{program}' of the server 'mcp:{name}' is not found"),
            "install it, or mend the command",
        )
    };
    on_path(program).ok_or_else(gone)
}

/// Whether a server is confined, and what is said of it, by what the kernel does.
pub(super) fn protection(
    name: &str,
    settings: &McpSettings,
    kernel: &SandboxProtection,
) -> (bool, String) {
    let open = || SandboxProtection {
        missing: format!("mcp.{name}.confined is false"),
        ..SandboxProtection::default()
    };
    let protection = if settings.confined {
        kernel.clone()
    } else {
        open()
    };
    (
        protection.programs_confined(),
        format!("mcp:{name}: {}", protection.describe_program()),
    )
}

fn unavailable(words: String, hint: &str) -> Failure {
    Failure::new(Code::BackendUnavailable, words).hint(hint)
}
