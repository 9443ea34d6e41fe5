//! The context of a command: paths, settings, outputs and the archive.

use super::args::OutputOptions;
use super::settings::{self, LoadedSettings};
use crate::cli::engine_connection::CliConnection;
use crate::cli::output::streams::{CommandError, CommandOutput};
use crate::engine::api::RunArchive;
use crate::engine::catalog::Catalog;
use crate::engine::catalog::trust;
use crate::engine::paths::InstallPaths;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;

/// Folders, settings and outputs of this process.
pub struct CommandContext {
    /// Where everything lies.
    pub paths: InstallPaths,
    /// The settings in force.
    pub loaded: LoadedSettings,
    /// Where words go.
    pub out: CommandOutput,
    /// Whether colours are unwanted.
    pub no_color: bool,
}

impl CommandContext {
    /// Reads the settings of the operator's folders.
    ///
    /// # Errors
    /// `config_invalid` for every mistake at once.
    pub fn read(look: OutputOptions, json: bool) -> Result<Self, CommandError> {
        let paths = InstallPaths::for_operator()?;
        let loaded = settings::load(&paths, variables()?, look)?;
        let out = CommandOutput::from_process(loaded.settings.console.ascii, look.no_color, json);
        Ok(Self {
            paths,
            loaded,
            out,
            no_color: look.no_color,
        })
    }

    /// Attaches to the live host, or becomes the host.
    ///
    /// # Errors
    /// As [`CliConnection::open`].
    pub fn session(&self) -> Result<CliConnection> {
        CliConnection::open(&self.paths, &self.loaded.settings)
    }

    /// A session for one command; a host that begins here resumes nothing.
    ///
    /// # Errors
    /// As [`CliConnection::brief`].
    pub fn brief_session(&self) -> Result<CliConnection> {
        CliConnection::brief(&self.paths, &self.loaded.settings)
    }

    /// The archive, where there is one already.
    ///
    /// # Errors
    /// What opening the database says.
    pub fn archive_if_any(&self) -> Result<Option<RunArchive>> {
        if self.paths.database().exists() {
            RunArchive::open(&self.paths).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The archive, and the run in it that `text` means.
    ///
    /// # Errors
    /// `run_not_found`, `run_ambiguous`; what opening the database says.
    pub fn find(&self, text: &str) -> Result<(RunArchive, RunId)> {
        let Some(archive) = self.archive_if_any()? else {
            return Err(Failure::new(Code::RunNotFound, "there are no runs yet")
                .hint("start one with `phasedeck demo` or `phasedeck run`"));
        };
        let run = archive.find(text)?;
        Ok((archive, run))
    }

    /// Everything that can be run from the current folder: a repository around it may bring more.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        let top = std::env::current_dir()
            .ok()
            .and_then(|dir| trust::repo_around(&dir));
        trust::catalog(&self.paths, top.as_deref())
    }
}

/// The variables of this process; ours must be UTF-8.
fn variables() -> Result<Vec<(String, String)>> {
    let ours =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = ours.filter(|(name, _)| {
        name.starts_with("PHASEDECK_") && !settings::variables::RESERVED.contains(&name.as_str())
    });
    ours.map(|(name, value)| {
        let wrong = || {
            Failure::new(
                Code::ConfigInvalid,
                format!("the variable {name} is not UTF-8"),
            )
            .hint("unset it")
        };
        value
            .into_string()
            .map(|value| (name.clone(), value))
            .map_err(|_| wrong())
    })
    .collect()
}
