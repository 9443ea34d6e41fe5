//! The operator's repository: found once, asked little, changed only by branches of our own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::program::Git;
use crate::model::error::{Code, Failure, Result};

const ALLOWED_ENV: &[&str] = &["PATH", "HOME", "LANG", "XDG_CONFIG_HOME", "TMPDIR"];
const NOBODY: (&str, &str) = ("phasedeck", "phasedeck@localhost");

/// The operator's repository.
#[derive(Clone, Debug)]
pub struct Repo {
    // Where refs, objects and the folders of all worktrees lie; `git` works there.
    pub(super) common_dir: PathBuf,
    pub(super) git: Git,
    // The operator's own checkout, for what HEAD means.
    own: Git,
    dir: PathBuf,
}

/// What a run begins from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The branch, without `refs/heads/`; absent when a commit or tag was named, or HEAD is detached.
    pub branch: Option<String>,
    /// The commit's whole id.
    pub commit: String,
}

impl Repo {
    /// The repository that `dir` lies in; `None` when it lies in none.
    ///
    /// # Errors
    /// `git_failed`, also for a repository without a commit; `usage_invalid` when `dir` is no folder.
    pub async fn discover(dir: &Path) -> Result<Option<Self>> {
        Self::discover_with(dir, &allowed_env()).await
    }

    pub(super) async fn discover_with(dir: &Path, env: &[(OsString, OsString)]) -> Result<Option<Self>> {
        if !dir.is_dir() {
            return Err(Failure::new(Code::UsageInvalid, format!("{} is not a folder", dir.display())).hint("name a repository's folder"));
        }
        let operator = Git::of_operator(dir, env);
        let ask = ["rev-parse", "--path-format=absolute", "--git-common-dir", "--absolute-git-dir"];
        let output = operator.attempt(&ask, b"").await?;
        if output.code != 0 && output.told().contains("not a git repository") {
            return Ok(None);
        }
        let Some((common, own)) = output.text.split_once('\n').filter(|_| output.code == 0) else { return Err(output.failure(&ask)) };
        let (common_dir, own) = (PathBuf::from(common), PathBuf::from(own));
        let settings = settings(&operator, &Git::quiet(&common_dir, env)).await?;
        let extra = environment(&operator, &Git::quiet(&common_dir, env)).await?;
        let git = |dir: &Path| Git::quiet(dir, env).with_settings(&settings).with_env(extra.clone());
        let repo = Self { git: git(&common_dir), own: git(&own), common_dir, dir: dir.to_path_buf() };
        repo.require_commit().await?;
        Ok(Some(repo))
    }

    /// What tells repositories apart: where refs and objects lie, whichever folder was named.
    #[must_use]
    pub fn identity(&self) -> &Path {
        &self.common_dir
    }

    /// The folder that was named, to find it again.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The commit that `base` names; the repository's current one when absent.
    ///
    /// # Errors
    /// `usage_invalid` when there is no such commit; `git_failed`.
    pub async fn resolve(&self, base: Option<&str>) -> Result<Base> {
        let Some(base) = base else {
            let head = self.own.attempt(&["symbolic-ref", "--quiet", "--short", "HEAD"], b"").await?;
            let branch = (head.code == 0).then_some(head.text);
            return Ok(Base { branch, commit: self.own.run(&["rev-parse", "--verify", "HEAD^{commit}"]).await? });
        };
        if base.is_empty() || base.starts_with('-') || base.chars().any(char::is_control) {
            return Err(self.unknown(base).await);
        }
        let as_branch = format!("refs/heads/{base}");
        let is_branch = self.git.attempt(&["show-ref", "--verify", "--quiet", &as_branch], b"").await?.code == 0;
        let name = format!("{}^{{commit}}", if is_branch { &as_branch } else { base });
        let found = self.own.attempt(&["rev-parse", "--verify", "--quiet", &name], b"").await?;
        if found.code != 0 {
            return Err(self.unknown(base).await);
        }
        Ok(Base { branch: is_branch.then(|| base.to_owned()), commit: found.text })
    }

    pub(super) async fn branch_exists(&self, branch: &str) -> Result<bool> {
        let reference = format!("refs/heads/{branch}");
        Ok(self.git.attempt(&["show-ref", "--verify", "--quiet", &reference], b"").await?.code == 0)
    }

    async fn require_commit(&self) -> Result<()> {
        if self.own.attempt(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], b"").await?.code == 0 {
            return Ok(());
        }
        let message = format!("the repository {} has no commit to begin from", self.dir.display());
        Err(Failure::new(Code::GitFailed, message).hint("make a first one: git commit --allow-empty -m 'Begin'"))
    }

    async fn unknown(&self, base: &str) -> Failure {
        let shown: String = base.escape_debug().take(100).collect();
        let branches = self.git.run(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]).await.unwrap_or_default();
        let near = branches.lines().map(|branch| (strsim::jaro_winkler(branch, base), branch)).max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = match near {
            Some((nearness, branch)) if nearness > 0.75 => format!("did you mean '{branch}'? `git branch` lists them all"),
            _ => "`git branch` lists the branches".to_owned(),
        };
        Failure::new(Code::UsageInvalid, format!("'{shown}' is no branch or commit of {}", self.dir.display())).hint(hint)
    }
}

pub(super) fn allowed_env() -> Vec<(OsString, OsString)> {
    ALLOWED_ENV.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?))).collect()
}

// The operator's settings that count, and empty commands for every filter that the repository defines.
async fn settings(operator: &Git, quiet: &Git) -> Result<Vec<(String, String)>> {
    let mut settings = Vec::new();
    let excludes = operator.attempt(&["config", "--type=path", "--get", "core.excludesFile"], b"").await?;
    if excludes.code == 0 {
        settings.push(("core.excludesFile".to_owned(), excludes.text));
    }
    let filters = quiet.attempt(&["config", "--null", "--name-only", "--get-regexp", "^filter\\."], b"").await?;
    for name in filters.text.split('\0').filter_map(|key| key.rsplit_once('.').map(|(name, _)| name)) {
        settings.extend(["clean", "smudge", "process"].map(|command| (format!("{name}.{command}"), String::new())));
        settings.push((format!("{name}.required"), "false".to_owned()));
    }
    Ok(settings)
}

async fn environment(operator: &Git, quiet: &Git) -> Result<Vec<(OsString, OsString)>> {
    let mut env: Vec<(OsString, OsString)> = Vec::new();
    for (key, variables, nobody) in [
        ("user.name", ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"], NOBODY.0),
        ("user.email", ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"], NOBODY.1),
    ] {
        let set = operator.attempt(&["config", "--get", key], b"").await?;
        let value = if set.code == 0 && !set.text.trim().is_empty() { set.text } else { nobody.to_owned() };
        env.extend(variables.map(|variable| (variable.into(), value.clone().into())));
    }
    // The id depends on how the repository hashes.
    let empty_tree = quiet.run(&["hash-object", "-t", "tree", "/dev/null"]).await?;
    env.push(("GIT_ATTR_SOURCE".into(), empty_tree.into()));
    Ok(env)
}
