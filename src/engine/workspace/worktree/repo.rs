//! The operator's repository: opened once, rarely queried, changed only by the runs' own branches.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::program::GitCommand;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::RunId;

const ALLOWED_ENV: &[&str] = &["PATH", "HOME", "LANG", "XDG_CONFIG_HOME", "TMPDIR"];
// Git knows the empty tree without storing it; it contains no attributes.
const EMPTY_TREE_SHA1: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const EMPTY_TREE_SHA256: &str = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";
const NOBODY: (&str, &str) = ("phasedeck", "phasedeck@localhost");

/// The operator's repository.
#[derive(Clone, Debug)]
pub struct GitRepository {
    // Folder with refs, objects and worktree metadata; `git` runs there.
    pub(super) common_dir: PathBuf,
    pub(super) git: GitCommand,
    // The operator's checkout, which determines HEAD.
    own: GitCommand,
    dir: PathBuf,
}

/// Base commit of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseCommit {
    /// The branch, without `refs/heads/`; absent for a commit, a tag or a detached HEAD.
    pub branch: Option<String>,
    /// Full commit id.
    pub commit: String,
}

impl GitRepository {
    /// Opens the repository that contains `dir`; `None` if there is none.
    ///
    /// # Errors
    /// `git_failed`, also for a repository without a commit; `usage_invalid` if `dir` is not a
    /// folder.
    pub async fn discover(dir: &Path) -> Result<Option<Self>> {
        Self::discover_with(dir, &allowed_env()).await
    }

    pub(super) async fn discover_with(
        dir: &Path,
        env: &[(OsString, OsString)],
    ) -> Result<Option<Self>> {
        if !dir.is_dir() {
            return Err(Failure::new(
                Code::UsageInvalid,
                format!("{} is not a folder", dir.display()),
            )
            .hint("name a repository's folder"));
        }
        let operator = GitCommand::of_operator(dir, env);
        let ask = [
            "rev-parse",
            "--path-format=absolute",
            "--git-common-dir",
            "--absolute-git-dir",
            "--show-object-format",
            "HEAD^{commit}",
        ];
        let output = operator.attempt(&ask, b"").await?;
        if output.code != 0 && output.told().contains("not a git repository") {
            return Ok(None);
        }
        let lines: Vec<&[u8]> = output.bytes.split(|byte| *byte == b'\n').collect();
        let [common, own, format, ..] = lines[..] else {
            return Err(output.failure(&ask));
        };
        if output.code != 0 {
            return Err(no_commit(dir));
        }
        let (common_dir, own) = (
            PathBuf::from(OsStr::from_bytes(common)),
            PathBuf::from(OsStr::from_bytes(own)),
        );
        let asked = RepositoryQuery::of(&operator).await?;
        let settings = settings(&asked, &operator, &GitCommand::quiet(&common_dir, env)).await?;
        let git = |dir: &Path| {
            GitCommand::quiet(dir, env)
                .with_settings(&settings)
                .with_env(asked.environment(format))
        };
        Ok(Some(Self {
            git: git(&common_dir),
            own: git(&own),
            common_dir,
            dir: dir.to_path_buf(),
        }))
    }

    /// Returns a file of a commit as bytes; `None` if the file or the commit does not exist.
    ///
    /// # Errors
    /// `git_failed` if git cannot be started.
    pub async fn committed(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let shown = self
            .git
            .attempt(&["cat-file", "blob", &format!("{commit}:{path}")], b"")
            .await?;
        Ok((shown.code == 0).then_some(shown.bytes))
    }

    /// Returns the repository's identity: the folder with its refs and objects, whichever checkout
    /// was opened.
    #[must_use]
    pub fn identity(&self) -> &Path {
        &self.common_dir
    }

    /// Returns the folder from which the repository was opened.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Resolves `base` to a commit; defaults to the repository's current commit.
    ///
    /// # Errors
    /// `usage_invalid` if there is no such commit; `git_failed`.
    pub async fn resolve(&self, base: Option<&str>) -> Result<BaseCommit> {
        let Some(base) = base else {
            let head = self
                .own
                .attempt(&["symbolic-ref", "--quiet", "--short", "HEAD"], b"")
                .await?;
            let branch = (head.code == 0).then(|| head.text());
            return Ok(BaseCommit {
                branch,
                commit: self
                    .own
                    .run(&["rev-parse", "--verify", "HEAD^{commit}"])
                    .await?,
            });
        };
        if base.is_empty() || base.starts_with('-') || base.chars().any(char::is_control) {
            return Err(self.unknown(base).await);
        }
        let as_branch = format!("refs/heads/{base}");
        let is_branch = self
            .git
            .attempt(&["show-ref", "--verify", "--quiet", &as_branch], b"")
            .await?
            .code
            == 0;
        let name = format!("{}^{{commit}}", if is_branch { &as_branch } else { base });
        let found = self
            .own
            .attempt(&["rev-parse", "--verify", "--quiet", &name], b"")
            .await?;
        if found.code != 0 {
            return Err(self.unknown(base).await);
        }
        Ok(BaseCommit {
            branch: is_branch.then(|| base.to_owned()),
            commit: found.text(),
        })
    }

    /// Returns whether a run's branch exists.
    ///
    /// # Errors
    /// `git_failed`.
    pub async fn has_branch_of(&self, run: RunId) -> Result<bool> {
        self.branch_exists(&super::branch_of(run)).await
    }

    /// Returns a file of a commit as bytes; `None` if the commit has no such file.
    pub(super) async fn file_at(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let found = self
            .git
            .attempt(&["cat-file", "blob", &format!("{commit}:{path}")], b"")
            .await?;
        Ok((found.code == 0).then_some(found.bytes))
    }

    pub(super) async fn branch_exists(&self, branch: &str) -> Result<bool> {
        let reference = format!("refs/heads/{branch}");
        Ok(self
            .git
            .attempt(&["show-ref", "--verify", "--quiet", &reference], b"")
            .await?
            .code
            == 0)
    }

    async fn unknown(&self, base: &str) -> Failure {
        let shown: String = base.escape_debug().take(100).collect();
        let branches = self
            .git
            .run(&["for-each-ref", "--format=%(refname:short)", "refs/heads"])
            .await
            .unwrap_or_default();
        let near = branches
            .lines()
            .map(|branch| (strsim::jaro_winkler(branch, base), branch))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = match near {
            Some((nearness, branch)) if nearness > 0.75 => {
                format!("did you mean '{branch}'? `git branch` lists them all")
            }
            _ => "`git branch` lists the branches".to_owned(),
        };
        Failure::new(
            Code::UsageInvalid,
            format!("'{shown}' is no branch or commit of {}", self.dir.display()),
        )
        .hint(hint)
    }
}

pub(super) fn allowed_env() -> Vec<(OsString, OsString)> {
    ALLOWED_ENV
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
        .collect()
}

fn no_commit(dir: &Path) -> Failure {
    Failure::new(
        Code::GitFailed,
        format!(
            "the repository {} has no commit to begin from",
            dir.display()
        ),
    )
    .hint("make a first one: git commit --allow-empty -m 'Begin'")
}

// Reads the relevant settings of the operator, unparsed.
#[derive(Default)]
struct RepositoryQuery {
    name: Option<String>,
    email: Option<String>,
    excludes: Option<String>,
}

impl RepositoryQuery {
    async fn of(operator: &GitCommand) -> Result<Self> {
        let wanted = "^(user\\.(name|email)|core\\.excludesfile)$";
        let found = operator
            .attempt(&["config", "--null", "--get-regexp", wanted], b"")
            .await?;
        let mut asked = Self::default();
        for (key, value) in found
            .text()
            .split('\0')
            .filter_map(|entry| entry.split_once('\n'))
        {
            let value = Some(value.to_owned());
            match key {
                "user.name" => asked.name = value,
                "user.email" => asked.email = value,
                _ => asked.excludes = value,
            }
        }
        Ok(asked)
    }

    fn environment(&self, format: &[u8]) -> Vec<(OsString, OsString)> {
        let empty_tree = if format == b"sha256" {
            EMPTY_TREE_SHA256
        } else {
            EMPTY_TREE_SHA1
        };
        let mut env = vec![("GIT_ATTR_SOURCE".into(), empty_tree.into())];
        for (set, variables, nobody) in [
            (
                &self.name,
                ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"],
                NOBODY.0,
            ),
            (
                &self.email,
                ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"],
                NOBODY.1,
            ),
        ] {
            // Git rejects a name that consists only of punctuation.
            let value = set
                .as_deref()
                .filter(|text| text.chars().any(char::is_alphanumeric))
                .unwrap_or(nobody);
            env.extend(variables.map(|variable| (variable.into(), value.into())));
        }
        env
    }
}

// Returns the operator's ignore file, and empty commands for every filter that the repository
// defines.
async fn settings(
    asked: &RepositoryQuery,
    operator: &GitCommand,
    quiet: &GitCommand,
) -> Result<Vec<(String, String)>> {
    let mut settings = Vec::new();
    if let Some(path) = &asked.excludes {
        // Let git expand paths such as `~/ignored`.
        let is_plain = !path.starts_with(['~', '%', ':']);
        let place = if is_plain {
            path.clone()
        } else {
            operator
                .run(&["config", "--type=path", "--get", "core.excludesFile"])
                .await?
        };
        settings.push(("core.excludesFile".to_owned(), place));
    }
    let filters = quiet
        .attempt(
            &[
                "config",
                "--null",
                "--name-only",
                "--get-regexp",
                "^filter\\.",
            ],
            b"",
        )
        .await?;
    for name in filters
        .text()
        .split('\0')
        .filter_map(|key| key.rsplit_once('.').map(|(name, _)| name))
    {
        settings.extend(
            ["clean", "smudge", "process"]
                .map(|command| (format!("{name}.{command}"), String::new())),
        );
        settings.push((format!("{name}.required"), "false".to_owned()));
    }
    Ok(settings)
}
