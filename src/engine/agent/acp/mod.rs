//! Agent programs that speak the Agent Client Protocol, as a backend.
//!
//! ```text
//! work ── talk (stored prompts → what next), session (the states)      pure
//!   │  ── words (what is said), counters (what it cost)                pure
//!   ├── line, choice, prompting ── wire (lines ↔ messages, bounded)
//!   │     ├── hearing (where it goes) ── heard (updates → text, tool calls)
//!   │     └── serve (files and permissions, from the persona's table)
//!   ├── program (the process, under a guard), fence (what it may reach)
//!   └── book (the session's own rows), desk (turns, money, audit)
//! ```
//!
//! The program is begun for one attempt and ended with it; its conversation outlives it, by the name
//! that the program gave it. Not here: judging the artifact, which counts however it was written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use self::presets::{ProjectSettingsSwitch, on_path, preset};
use self::work::AcpWorker;
use super::program::AgentLaunch;
use super::tools::Toolbox;
use super::{AgentFuture, AgentJob, AgentStop, AttemptRecorder, Backend};
use crate::engine::agent::acp::sandbox_paths::{OwnedPath, SandboxPaths};
use crate::engine::api::TextKind;
use crate::engine::sandbox::{ProgramSandbox, SandboxLauncher, SandboxProtection};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::RunFact;
use crate::model::persona::{Persona, ToolPermission};
use crate::model::settings::{AgentSettings, AppSettings};
use agent_client_protocol_schema::v1::{EnvVariable, McpServer, McpServerStdio};
use tokio::sync::OnceCell;

pub use self::presets::{AgentPreset, presets};

mod choice;
mod connection;
mod counters;
pub mod presets;
mod prompting;
mod prompts;
pub mod sandbox_paths;
mod serve;
pub mod session;
mod session_store;
mod transport;
mod turn_plan;
mod update_sink;
mod updates;
mod work;

/// The backend that talks to agent programs.
pub struct AcpBackend {
    settings: AppSettings,
    protection: OnceCell<SandboxProtection>,
}

/// One agent program, ready to be begun for a persona.
pub struct ConfiguredAgent {
    name: String,
    settings: AgentSettings,
    launch: AgentLaunch,
    aloof: Option<&'static ProjectSettingsSwitch>,
    own: &'static [OwnedPath],
    brought: &'static [&'static str],
    servers: Vec<McpServer>,
    reads: bool,
    writes: bool,
}

impl AcpBackend {
    /// A backend for the programs of the settings, and the well-known ones.
    #[must_use]
    pub fn new(settings: &AppSettings) -> Self {
        Self {
            settings: settings.clone(),
            protection: OnceCell::new(),
        }
    }

    fn agent(&self, persona: &Persona) -> Result<ConfiguredAgent> {
        let unavailable =
            |words: String, hint: String| Failure::new(Code::BackendUnavailable, words).hint(hint);
        let name = persona.agent.as_deref().unwrap_or_default();
        let (given, known) = (self.settings.agents.get(name), preset(name));
        if given.is_none() && known.is_none() {
            let hint = format!(
                "write [agents.{name}] with its `command` in config.toml, or take a well-known one: {}",
                well_known()
            );
            return Err(unavailable(
                format!("no agent program is named '{name}'"),
                hint,
            ));
        }
        let settings = given.cloned().unwrap_or_default();
        let usual = known
            .into_iter()
            .flat_map(|preset| preset.command.iter().map(|word| (*word).to_owned()));
        let mut command = if settings.command.is_empty() {
            usual.collect()
        } else {
            settings.command.clone()
        }
        .into_iter();
        let Some(program) = command.next() else {
            return Err(unavailable(
                format!("agents.{name} has no command"),
                format!("write agents.{name}.command = [\"PROGRAM\", …]"),
            ));
        };
        let Some(path) = on_path(&program) else {
            let install = known.map_or_else(
                || "install it, or mend the command".to_owned(),
                |preset| format!("install it: {}", preset.install),
            );
            return Err(unavailable(
                format!("the agent program '{program}' is not found"),
                install,
            ));
        };
        let usual = known.into_iter().flat_map(|preset| preset.env);
        let mut env: BTreeMap<String, String> = usual
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        env.extend(settings.env.clone());
        if let (Some(ProjectSettingsSwitch::Variable(name, value)), false) =
            (known.map(|preset| &preset.aloof), settings.trust_project)
        {
            env.insert((*name).to_owned(), (*value).to_owned());
        }
        let keys = known
            .into_iter()
            .flat_map(|preset| preset.keys.iter().map(|key| (*key).to_owned()));
        let pass_env = settings.pass_env.iter().cloned().chain(keys).collect();
        let asks = known.is_none_or(|preset| preset.asks_for_files);
        let may = |tool: &str| {
            asks && persona.tools.iter().any(|given| given == tool)
                && persona.permission(tool) == ToolPermission::Auto
        };
        Ok(ConfiguredAgent {
            name: name.to_owned(),
            launch: AgentLaunch {
                program: path,
                args: command.collect(),
                env,
                pass_env,
                fence: None,
            },
            aloof: known.map(|preset| &preset.aloof),
            own: known.map_or(&[], |preset| preset.own),
            brought: known.map_or(&[], |preset| preset.brought),
            servers: self.servers(persona)?,
            reads: may("read_file"),
            writes: may("write_file"),
            settings,
        })
    }

    /// Puts a fence around a program, and tells what holds it.
    ///
    /// # Errors
    /// `backend_unavailable` where settings of the repository cannot be hidden from it.
    async fn confine(
        &self,
        agent: &mut ConfiguredAgent,
        job: &AgentJob,
        desk: &AttemptRecorder,
        temp: &Path,
    ) -> Result<()> {
        let confined = agent.settings.confined;
        let kernel = self
            .protection
            .get_or_init(|| async { SandboxLauncher::current_program().probe_program().await })
            .await
            .clone();
        let looked_for = sandbox_paths::in_the_checkout(job.repository.as_deref(), agent.names());
        let hidden = agent.hidden(&job.worktree, &looked_for)?;
        if !hidden.is_empty() && !kernel.hides {
            return Err(agent.cannot_hide(&hidden));
        }
        let grounds = SandboxPaths {
            own: agent.own,
            more: &agent.settings.own_folders,
            worktree: &job.worktree,
            temp,
            repository: job.repository.as_deref(),
            looked_for: &looked_for,
        };
        let fence = if confined {
            sandbox_paths::fence(&agent.launch, &grounds)
        } else {
            ProgramSandbox {
                open: true,
                ..ProgramSandbox::default()
            }
        };
        agent.launch.fence = (confined || !hidden.is_empty()).then(|| ProgramSandbox {
            hidden,
            blank: temp.join("empty.json"),
            ..fence
        });
        let missing = format!("agents.{}.confined is false", agent.name);
        let protection = if confined {
            kernel
        } else {
            SandboxProtection {
                missing,
                ..SandboxProtection::default()
            }
        };
        let (confined, words) = (
            protection.programs_confined(),
            format!("{}: {}", agent.name, protection.describe_program()),
        );
        if !confined {
            desk.text(TextKind::Note, &words);
        }
        if job.history.is_empty() {
            desk.add_opening_fact(|phase_key, attempt| RunFact::CommandsConfined {
                phase_key: phase_key.clone(),
                attempt,
                confined,
                words,
            });
        }
        Ok(())
    }

    /// The servers that the program is told of. It calls their tools itself, so that it gets whole servers
    /// or none.
    fn servers(&self, persona: &Persona) -> Result<Vec<McpServer>> {
        let refuse = |words: String, hint: &str| {
            Err(Failure::new(Code::BackendUnavailable, words).hint(hint))
        };
        let mut servers = Vec::new();
        for (name, tool) in persona.mcp_tools() {
            let whole = format!("mcp:{name}");
            if let Some(tool) = tool {
                return refuse(
                    format!("an agent program cannot be given '{whole}/{tool}' alone"),
                    "give the whole server, or take backend openai",
                );
            }
            if persona.permission(&whole) != ToolPermission::Auto {
                return refuse(
                    format!(
                        "the tools of '{whole}' are not asked for one by one by an agent program"
                    ),
                    "make it `auto`, or leave it out",
                );
            }
            let Some(server) = self.settings.mcp.get(name) else {
                return refuse(
                    format!("no server of tools is named '{name}'"),
                    "write it into config.toml as [mcp.NAME]",
                );
            };
            let Some((program, args)) = server.command.split_first() else {
                return refuse(
                    format!("mcp.{name} has no command"),
                    "write its command into config.toml",
                );
            };
            let passed = server
                .pass_env
                .iter()
                .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
            let env = passed
                .chain(server.env.clone())
                .map(|(name, value)| EnvVariable::new(name, value))
                .collect();
            servers.push(McpServer::Stdio(
                McpServerStdio::new(name, program)
                    .args(args.to_vec())
                    .env(env),
            ));
        }
        Ok(servers)
    }
}

impl ConfiguredAgent {
    fn model(&self, persona: &Persona) -> String {
        persona.model.clone().unwrap_or_else(|| self.name.clone())
    }

    /// What it would take for its settings, by the names in a repository.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.brought
            .iter()
            .copied()
            .chain(self.settings.hide.iter().map(String::as_str))
    }

    /// What is hidden from it of what the repository brings along.
    fn hidden(&self, worktree: &Path, looked_for: &[PathBuf]) -> Result<Vec<PathBuf>> {
        if self.settings.trust_project {
            return Ok(Vec::new());
        }
        let mut hidden = sandbox_paths::brought_along(worktree, self.names())?;
        hidden.extend_from_slice(looked_for);
        Ok(hidden)
    }

    fn cannot_hide(&self, hidden: &[PathBuf]) -> Failure {
        let names: Vec<_> = hidden
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        let words = format!(
            "the repository has settings for '{}' ({}), which cannot be hidden from it here",
            self.name,
            names.join(", ")
        );
        let hint = format!(
            "remove them from the repository, or let them count: agents.{}.trust_project = true",
            self.name
        );
        Failure::new(Code::BackendUnavailable, words).hint(hint)
    }

    /// What is to be known before the program is begun in a worktree, in words; absent where nothing is.
    fn warning(&self) -> Option<String> {
        let known = matches!(
            self.aloof,
            Some(ProjectSettingsSwitch::Variable(..) | ProjectSettingsSwitch::Meta(_))
        );
        let unknown = !known && self.brought.is_empty() && self.settings.hide.is_empty();
        (unknown && !self.settings.trust_project)
            .then(|| format!("it is not known what '{0}' takes for its settings in a repository; name that in agents.{0}.hide", self.name))
    }
}

impl Backend for AcpBackend {
    fn name(&self) -> &'static str {
        "acp"
    }

    fn available(&self, persona: &Persona) -> Result<()> {
        self.agent(persona).map(drop)
    }

    fn model(&self, persona: &Persona) -> Option<String> {
        persona.model.clone().or_else(|| persona.agent.clone())
    }

    fn others_write(&self, _: &Persona) -> bool {
        true
    }

    fn work<'a>(
        &'a self,
        job: &'a AgentJob,
        desk: &'a AttemptRecorder,
        stop: &'a AgentStop,
    ) -> AgentFuture<'a> {
        Box::pin(async move {
            let mut agent = self.agent(&job.persona)?;
            // Servers are begun by the program, which knows no words of ours.
            fill_in_worktree(&mut agent.servers, job);
            if let Some(warning) = agent.warning() {
                desk.text(TextKind::Note, &warning);
            }
            let temp = tempfile::Builder::new()
                .prefix("phasedeck-")
                .tempdir()
                .map_err(|error| Failure::io("no folder for temporary files", &error))?;
            job.growth.add_folder(temp.path());
            for name in ["TMPDIR", "TMP", "TEMP"] {
                agent
                    .launch
                    .env
                    .insert(name.to_owned(), temp.path().to_string_lossy().into_owned());
            }
            std::fs::write(temp.path().join("empty.json"), "{}")
                .map_err(|error| Failure::io("no file for temporary use", &error))?;
            self.confine(&mut agent, job, desk, temp.path()).await?;
            let tools = Toolbox::new(
                &job.worktree,
                &job.persona,
                SandboxLauncher::current_program(),
            )?;
            AcpWorker {
                agent: &agent,
                job,
                desk,
                stop,
                tools,
                allowed: Mutex::default(),
            }
            .run()
            .await
        })
    }
}

fn fill_in_worktree(servers: &mut [McpServer], job: &AgentJob) {
    let worktree = job.worktree.to_string_lossy();
    for server in servers {
        if let McpServer::Stdio(server) = server {
            server
                .args
                .iter_mut()
                .for_each(|arg| *arg = arg.replace("{worktree}", &worktree));
        }
    }
}

fn well_known() -> String {
    presets::PRESETS
        .iter()
        .map(|preset| preset.name)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod any_bytes;
#[cfg(test)]
mod tests;
