//! Where everything lies: settings, data and state folders, by XDG or beneath `PHASEDECK_HOME`.

use std::path::{Path, PathBuf};

use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;

/// The three folders of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `config.toml`, `workflows/`, `personas/`, `artifacts/`.
    pub config: PathBuf,
    /// The database, artifact contents, worktrees.
    pub data: PathBuf,
    /// Reports, audit, logs.
    pub state: PathBuf,
}

impl Paths {
    /// All three beneath one folder, as `PHASEDECK_HOME` asks for.
    #[must_use]
    pub fn beneath(home: &Path) -> Self {
        Self {
            config: home.join("config"),
            data: home.join("data"),
            state: home.join("state"),
        }
    }

    /// The operator's folders: `PHASEDECK_HOME` when it is set, else the platform's.
    ///
    /// # Errors
    /// `config_invalid` when neither is known.
    pub fn of_operator() -> Result<Self> {
        if let Some(home) = std::env::var_os("PHASEDECK_HOME").filter(|home| !home.is_empty()) {
            let home = std::path::absolute(&home).map_err(|e| Failure::io("PHASEDECK_HOME", &e))?;
            return Ok(Self::beneath(&home));
        }
        let dirs = directories::ProjectDirs::from("", "", "phasedeck").ok_or_else(|| {
            Failure::new(Code::ConfigInvalid, "no home folder is known")
                .hint("set HOME, or PHASEDECK_HOME to a folder for everything")
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

    /// The one database file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data.join("phasedeck.db")
    }

    /// What the provider said of its models when it was last asked.
    #[must_use]
    pub fn models(&self) -> PathBuf {
        self.state.join("models.json")
    }

    /// The lock that a host holds for its whole life.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.data.join("host.lock")
    }

    /// Artifact contents by hash.
    #[must_use]
    pub fn contents(&self) -> PathBuf {
        self.data.join("contents")
    }

    /// Everything of one run that is a file: its worktree `main`, files moved aside.
    #[must_use]
    pub fn run(&self, run: RunId) -> PathBuf {
        self.data.join("runs").join(run.to_string())
    }

    /// What tools of a run said beyond what its agents were given, a file a call.
    #[must_use]
    pub fn outputs(&self, run: RunId) -> PathBuf {
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

    /// Tool calls, a file a run.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.state.join("audit")
    }

    /// The program's own log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.state.join("phasedeck.log")
    }

    /// Makes the three folders, readable by their owner alone.
    ///
    /// # Errors
    /// `io_failed` naming the folder.
    pub fn create(&self) -> Result<()> {
        for dir in [&self.config, &self.data, &self.state] {
            create_private_dir(dir)?;
        }
        Ok(())
    }
}

/// Makes a folder (and what is above it) that only its owner can enter.
///
/// # Errors
/// `io_failed` naming the folder.
pub fn create_private_dir(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(dir)
        .map_err(|e| Failure::io(format!("cannot make folder {}", dir.display()), &e))
}
