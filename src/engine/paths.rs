//! Paths of an installation: configuration, data and state, by XDG or beneath `PHASEDECK_HOME`.

use std::path::{Path, PathBuf};

use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;

/// The three directories of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallPaths {
    /// `config.toml`, `workflows/`, `personas/`, `artifacts/`.
    pub config: PathBuf,
    /// The database, artifact contents, worktrees.
    pub data: PathBuf,
    /// Reports, audit, logs.
    pub state: PathBuf,
}

impl InstallPaths {
    /// Returns paths beneath one directory, as used with `PHASEDECK_HOME`.
    #[must_use]
    pub fn beneath(home: &Path) -> Self {
        Self {
            config: home.join("config"),
            data: home.join("data"),
            state: home.join("state"),
        }
    }

    /// Returns the operator's paths: beneath `PHASEDECK_HOME` if it is set, else the platform's.
    ///
    /// # Errors
    /// `config_invalid` if neither can be determined.
    pub fn for_operator() -> Result<Self> {
        if let Some(home) = std::env::var_os("PHASEDECK_HOME").filter(|home| !home.is_empty()) {
            let home = std::path::absolute(&home).map_err(|e| Failure::io("PHASEDECK_HOME", &e))?;
            return Ok(Self::beneath(&home));
        }
        let dirs = directories::ProjectDirs::from("", "", "phasedeck").ok_or_else(|| {
            Failure::new(Code::ConfigInvalid, "cannot determine the home directory")
                .hint("set HOME, or set PHASEDECK_HOME to a directory for all files")
        })?;
        let state = dirs
            .state_dir()
            .map_or_else(|| dirs.data_local_dir().join("state"), Path::to_path_buf);
        Ok(Self {
            config: dirs.config_dir().to_path_buf(),
            data: dirs.data_dir().to_path_buf(),
            state,
        })
    }

    /// The settings file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The database file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data.join("phasedeck.db")
    }

    /// Cached model list of the provider.
    #[must_use]
    pub fn model_cache(&self) -> PathBuf {
        self.state.join("models.json")
    }

    /// The lock file that a host holds while it runs.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.data.join("host.lock")
    }

    /// Artifact contents by hash.
    #[must_use]
    pub fn contents(&self) -> PathBuf {
        self.data.join("contents")
    }

    /// Files of one run: its worktree `main`, and files moved aside.
    #[must_use]
    pub fn run(&self, run: RunId) -> PathBuf {
        self.data.join("runs").join(run.to_string())
    }

    /// Complete outputs of a run's tools, one file per call; agents get an excerpt.
    #[must_use]
    pub fn tool_outputs(&self, run: RunId) -> PathBuf {
        self.run(run).join("outputs")
    }

    /// A run's worktree.
    #[must_use]
    pub fn worktree(&self, run: RunId) -> PathBuf {
        self.run(run).join("main")
    }

    /// Final reports.
    #[must_use]
    pub fn reports(&self) -> PathBuf {
        self.state.join("reports")
    }

    /// Tool call audit, one file per run.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.state.join("audit")
    }

    /// The program's own log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.state.join("phasedeck.log")
    }

    /// Creates the three directories, accessible by their owner only.
    ///
    /// # Errors
    /// `io_failed` naming the directory.
    pub fn create(&self) -> Result<()> {
        for dir in [&self.config, &self.data, &self.state] {
            create_private_dir(dir)?;
        }
        Ok(())
    }
}

/// Creates a directory and its parents, accessible by their owner only.
///
/// # Errors
/// `io_failed` naming the directory.
pub fn create_private_dir(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(dir)
        .map_err(|e| Failure::io(format!("cannot create directory {}", dir.display()), &e))
}
