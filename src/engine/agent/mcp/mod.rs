//! Tools of servers that speak the Model Context Protocol, for personas that are given them.
//!
//! Servers are named in the operator's settings and nowhere else. Each is begun with the first attempt
//! that needs it, in the run's worktree under a guard, and ended with the attempt; one that dies is
//! begun again with the next call, a few times. Their tools stand beside the engine's own, under names
//! of their own (`mcp__SERVER__TOOL`), with the same permissions, audit and limits.
//!
//! Not here: what the protocol's messages look like, which `rmcp` knows; asking the operator.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rmcp::ServiceExt as _;
use rmcp::model::{CallToolRequestParams, ContentBlock};
use rmcp::service::{RoleClient, RunningService};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::launching::{LaunchDirectory, named, program};
use super::program::{AgentLaunch, RunningProgram};
use crate::engine::sandbox::SandboxProtection;
use crate::model::error::{Code, Failure, Result};
use crate::model::persona::{Persona, ToolPermission};
use crate::model::settings::McpSettings;

mod launching;

/// How often a server that died is begun again in one attempt.
const MAX_LIVES: u32 = 4;
/// The longest name of a tool that models take.
const MAX_NAME: usize = 64;
/// Tools that one server may have.
const MAX_TOOLS: usize = 128;

/// The servers of one attempt, and the tools of theirs that the persona is given.
pub struct McpServers {
    servers: Vec<McpServer>,
    tools: Vec<OfferedTool>,
    place: LaunchDirectory,
}

/// One tool on offer.
struct OfferedTool {
    /// As the model calls it.
    name: String,
    server: usize,
    /// As the server calls it.
    tool: String,
    description: String,
    parameters: Value,
    permission: ToolPermission,
}

struct McpServer {
    name: String,
    settings: McpSettings,
    live: Mutex<(u32, Option<LiveServer>)>,
}

struct LiveServer {
    service: RunningService<RoleClient, ()>,
    program: RunningProgram,
}

impl McpServers {
    /// Whether the servers that a persona names are in the settings, and their programs here.
    ///
    /// # Errors
    /// `backend_unavailable`, naming the server.
    pub fn available(servers: &BTreeMap<String, McpSettings>, persona: &Persona) -> Result<()> {
        persona
            .mcp_tools()
            .try_for_each(|(name, _)| program(name, named(servers, name)?).map(drop))
    }

    /// Begins the servers that the persona names, and asks each for its tools.
    ///
    /// # Errors
    /// `backend_unavailable` when one is missing, does not begin, or has no tool of a name that is given.
    pub async fn open(
        settings: &BTreeMap<String, McpSettings>,
        persona: &Persona,
        worktree: &Path,
        repository: Option<&Path>,
    ) -> Result<Self> {
        let confined = persona
            .mcp_tools()
            .any(|(name, _)| settings.get(name).is_some_and(|server| server.confined));
        let mut shelf = Self {
            servers: Vec::new(),
            tools: Vec::new(),
            place: LaunchDirectory::new(worktree, repository, confined)?,
        };
        let mut wanted: BTreeMap<&str, Vec<Option<&str>>> = BTreeMap::new();
        for (server, tool) in persona.mcp_tools() {
            wanted.entry(server).or_default().push(tool);
        }
        for (name, given) in wanted {
            if let Err(failure) = shelf.take(settings, persona, name, &given).await {
                shelf.end().await;
                return Err(failure);
            }
        }
        Ok(shelf)
    }

    async fn take(
        &mut self,
        settings: &BTreeMap<String, McpSettings>,
        persona: &Persona,
        name: &str,
        given: &[Option<&str>],
    ) -> Result<()> {
        let settings = named(settings, name)?.clone();
        let live = begin(
            name,
            &settings,
            &self.place.launch(name, &settings)?,
            self.place.worktree(),
        )
        .await?;
        let listed = timeout(
            Duration::from_secs(settings.start_timeout_seconds),
            live.service.list_all_tools(),
        )
        .await;
        let server = self.servers.len();
        self.servers.push(McpServer {
            name: name.to_owned(),
            settings,
            live: Mutex::new((1, Some(live))),
        });
        let tools = listed
            .map_err(|_| silent(name))?
            .map_err(|error| broken(name, &error.to_string()))?;
        let all = given.contains(&None);
        for tool in tools.into_iter().take(MAX_TOOLS) {
            if all || given.contains(&Some(tool.name.as_ref())) {
                let full = format!("mcp__{name}__{}", tool.name);
                let fits = full.len() <= MAX_NAME
                    && full
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
                if !fits {
                    return Err(Failure::new(
                        Code::BackendUnavailable,
                        format!("the tool '{full}' has a name that models do not take"),
                    )
                    .hint(format!(
                        "name the tools you want one by one: mcp:{name}/TOOL"
                    )));
                }
                self.tools.push(OfferedTool {
                    name: full,
                    server,
                    permission: permission(persona, name, &tool.name),
                    description: tool
                        .description
                        .map(std::borrow::Cow::into_owned)
                        .unwrap_or_default(),
                    parameters: Value::Object((*tool.input_schema).clone()),
                    tool: tool.name.into_owned(),
                });
            }
        }
        let missing = given.iter().flatten().find(|wanted| {
            !self
                .tools
                .iter()
                .any(|tool| tool.server == server && tool.tool == **wanted)
        });
        missing.map_or(Ok(()), |missing| {
            Err(Failure::new(
                Code::BackendUnavailable,
                format!("the server 'mcp:{name}' has no tool '{missing}'"),
            )
            .hint("look at the server's own list of tools"))
        })
    }

    /// Whether there are servers at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Of each server whether it is confined, and the words for it, by what the kernel does.
    pub fn protections(&self, kernel: &SandboxProtection) -> Vec<(bool, String)> {
        self.servers
            .iter()
            .map(|server| launching::protection(&server.name, &server.settings, kernel))
            .collect()
    }

    /// The tools on offer, as the `tools` of a Chat Completions request.
    pub fn definitions(&self) -> impl Iterator<Item = Value> {
        let offered = self
            .tools
            .iter()
            .filter(|tool| tool.permission != ToolPermission::Deny);
        offered.map(|tool| {
            json!({"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters}})
        })
    }

    /// What the persona says of a tool; absent when it is none of ours.
    #[must_use]
    pub fn permission(&self, name: &str) -> Option<ToolPermission> {
        self.find(name).map(|tool| tool.permission)
    }

    fn find(&self, name: &str) -> Option<&OfferedTool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// Calls a tool; gives its text, or why there is none. What it does is the server's, so that a call
    /// that is given up may have been carried out.
    ///
    /// # Errors
    /// Words for the model.
    pub async fn call(
        &self,
        name: &str,
        arguments: &str,
        stop: &CancellationToken,
    ) -> Result<String, String> {
        let Some(tool) = self.find(name) else {
            return Err(format!("there is no tool '{}'", name.escape_debug()));
        };
        let text = if arguments.trim().is_empty() {
            "{}"
        } else {
            arguments
        };
        let Ok(Value::Object(arguments)) = crate::engine::artifact::strict_json::parse(text) else {
            return Err("the arguments must be a JSON object".to_owned());
        };
        let Some(server) = self.servers.get(tool.server) else {
            return Err("its server is gone".to_owned());
        };
        let mut live = server.live.lock().await;
        if live.1.as_ref().is_none_or(|live| live.service.is_closed()) {
            self.again(server, &mut live)
                .await
                .map_err(|failure| failure.message)?;
        }
        let Some(connected) = live.1.as_ref() else {
            return Err("its server is gone".to_owned());
        };
        let request = CallToolRequestParams::new(tool.tool.clone()).with_arguments(arguments);
        let limit = Duration::from_secs(server.settings.call_timeout_seconds);
        let answered = tokio::select! {
            biased;
            () = stop.cancelled() => return Err("stopped; it may have been carried out".to_owned()),
            answered = timeout(limit, connected.service.call_tool(request)) => answered,
        };
        match answered {
            Err(_) => {
                // What it is still busy with must not answer the next call.
                end(live.1.take()).await;
                Err(format!(
                    "no answer within {} s; it may have been carried out",
                    limit.as_secs()
                ))
            }
            // What the server says in answer is its word; anything else is the end of its pipes.
            Ok(Err(error @ rmcp::ServiceError::McpError(_))) => Err(error.to_string()),
            Ok(Err(error)) => {
                end(live.1.take()).await;
                Err(format!(
                    "its server ended: {error}; it may have been carried out"
                ))
            }
            Ok(Ok(result)) => {
                let text = result
                    .content
                    .iter()
                    .map(text_of)
                    .collect::<Vec<_>>()
                    .join("\n");
                let text = match (&result.structured_content, text.is_empty()) {
                    (Some(value), true) => value.to_string(),
                    _ => text,
                };
                if result.is_error == Some(true) {
                    Err(text)
                } else {
                    Ok(text)
                }
            }
        }
    }

    async fn again(&self, server: &McpServer, live: &mut (u32, Option<LiveServer>)) -> Result<()> {
        end(live.1.take()).await;
        if live.0 >= MAX_LIVES {
            return Err(broken(
                &server.name,
                &format!("it died {MAX_LIVES} times in this attempt"),
            ));
        }
        live.0 += 1;
        let launch = self.place.launch(&server.name, &server.settings)?;
        live.1 = Some(
            begin(
                &server.name,
                &server.settings,
                &launch,
                self.place.worktree(),
            )
            .await?,
        );
        Ok(())
    }

    /// Ends all servers and everything they began.
    pub async fn end(&self) {
        for server in &self.servers {
            end(server.live.lock().await.1.take()).await;
        }
    }
}

async fn end(live: Option<LiveServer>) {
    if let Some(LiveServer { service, program }) = live {
        drop(service);
        program.end().await;
    }
}

async fn begin(
    name: &str,
    settings: &McpSettings,
    launch: &AgentLaunch,
    worktree: &Path,
) -> Result<LiveServer> {
    let begun = RunningProgram::begin(launch, worktree).await;
    let (program, to, from) = begun.map_err(|error| broken(name, &error.to_string()))?;
    match timeout(
        Duration::from_secs(settings.start_timeout_seconds),
        ().serve((from, to)),
    )
    .await
    {
        Ok(Ok(service)) => Ok(LiveServer { service, program }),
        Ok(Err(error)) => {
            let last = program.end().await;
            Err(broken(name, &format!("{error} ({last})")))
        }
        Err(_) => {
            program.end().await;
            Err(silent(name))
        }
    }
}

/// One tool's own word counts before its server's.
fn permission(persona: &Persona, server: &str, tool: &str) -> ToolPermission {
    let one = persona.permissions.get(&format!("mcp:{server}/{tool}"));
    one.copied()
        .unwrap_or_else(|| persona.permission(&format!("mcp:{server}")))
}

fn text_of(content: &ContentBlock) -> String {
    match content {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(_) => "[an image]".to_owned(),
        ContentBlock::Audio(_) => "[a sound]".to_owned(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

fn broken(name: &str, why: &str) -> Failure {
    Failure::new(
        Code::BackendUnavailable,
        format!("the server 'mcp:{name}' does not work: {why}"),
    )
    .hint("try its command by hand, then approve to go on")
}

fn silent(name: &str) -> Failure {
    broken(name, "it does not answer in time")
}
