//! Any endpoint that speaks Chat Completions, as a backend.
//!
//! ```text
//! work ── conversation (stored turns → messages, what next)      pure
//!   │  ── circles (the same again and again)                     pure
//!   │  ── summary (the oldest turns, when the window is full)    pure
//!   │  ── structured (one document in place of tools)
//!   │  ── prices (reserve, cost) ── model_list (what the provider says of its models)
//!   ├── access (the key and its wire, until there is another key)
//!   ├── wire ── sse (bytes → events) ── assemble, calls (chunks → answer, by the shapes of chat)
//!   │     └── fault (status or fault → code, another try or none)
//!   ├── delegate (questions of tools; sub-agents: the same loop, with a context of its own)
//!   ├── tools (files and commands, confined to the worktree)
//!   └── book (the desk: what must be stored before it is acted on)
//! ```
//!
//! Only `work` waits for anything but bytes. Not here: judging the artifact, and budgets (the desk
//! refuses a reserve).

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use self::work::{ChatWorker, RetryPolicy};
use super::mcp::McpServers;
use super::tools::Toolbox;
use super::{AgentFuture, AgentJob, AgentStop, AttemptRecorder, Backend};
use crate::engine::agent::chat_completions::client_handle::ClientHandle;
use crate::engine::sandbox::{SandboxLauncher, SandboxProtection};
use crate::model::error::Result;
use crate::model::event::RunFact;
use crate::model::persona::Persona;
use crate::model::settings::{McpSettings, OpenAiSettings};
use crate::model::time::Timestamp;
use tokio::sync::OnceCell;

pub use self::model_list::ModelList;
pub use self::prices::PriceTable;

mod assemble;
mod calls;
mod chat;
mod client_handle;
mod conversation;
mod delegate;
mod fault;
pub mod key;
mod loop_detection;
mod model_list;
mod prices;
mod sse;
mod structured;
mod summary;
mod turn_recorder;
mod wire;
mod work;

#[cfg(test)]
mod any_bytes;
#[cfg(test)]
#[path = "../../../../tests/support/model_server.rs"]
mod model_server;
#[cfg(test)]
mod test_support;

/// The window of a model that nobody knows anything of, in tokens.
const USUAL_WINDOW: u64 = 128_000;
/// The longest pause that is slept in a call.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often is looked whether the list of models is a day old.
const LIST_LOOK: Duration = Duration::from_secs(60 * 60);

/// The backend that talks to a model over HTTP.
pub struct OpenAi {
    access: ClientHandle,
    prices: PriceTable,
    pace: RetryPolicy,
    model: String,
    model_list: bool,
    context_window: u64,
    launcher: SandboxLauncher,
    servers: BTreeMap<String, McpSettings>,
    /// What holds commands.
    protection: OnceCell<SandboxProtection>,
    /// What holds whole programs.
    fence: OnceCell<SandboxProtection>,
}

impl OpenAi {
    /// Makes the HTTP client and reads the key; nothing is sent. A key that is not
    /// there is no error yet: [`available`](Backend::available) says so.
    ///
    /// # Errors
    /// `config_invalid` when the base URL, a header or the key cannot be used.
    pub fn new(settings: &OpenAiSettings, prices: PriceTable) -> Result<Self> {
        Ok(Self {
            access: ClientHandle::new(settings)?,
            prices,
            pace: RetryPolicy {
                max_tries: settings.max_tries.max(1),
                base: Duration::from_secs(1),
                longest: LONGEST_PAUSE,
            },
            model: settings.model.clone(),
            model_list: settings.model_list,
            context_window: settings.context_window,
            launcher: SandboxLauncher::current_program(),
            servers: BTreeMap::new(),
            protection: OnceCell::new(),
            fence: OnceCell::new(),
        })
    }

    /// Sets the first pause between two tries, which later ones double; a second unless set.
    #[must_use]
    pub fn with_first_pause(mut self, pause: Duration) -> Self {
        self.pace.base = pause;
        self
    }

    /// Sets the longest pause that is slept in a call; a minute unless set. The engine waits out longer ones.
    #[must_use]
    pub fn with_longest_pause(mut self, pause: Duration) -> Self {
        self.pace.longest = pause;
        self
    }

    /// Begins commands by another copy of this program, for processes that are not it.
    #[must_use]
    pub fn with_launcher(mut self, launcher: SandboxLauncher) -> Self {
        self.launcher = launcher;
        self
    }

    /// Lets personas be given the tools of these servers.
    #[must_use]
    pub fn with_servers(mut self, servers: BTreeMap<String, McpSettings>) -> Self {
        self.servers = servers;
        self
    }

    /// Asks for the provider's list of models when the one that is known is a day old. Without a key
    /// nothing is sent.
    async fn refresh(&self) {
        let (models, now) = (self.prices.models(), Timestamp::now());
        if !self.model_list || self.access.ready().is_err() || !models.is_old(now) {
            return;
        }
        let told = self
            .access
            .wire()
            .models()
            .await
            .map_err(|fault| fault.into_failure(1));
        match told.and_then(|told| models.take(&told, now)) {
            Ok(count) => tracing::info!(count, "the provider's list of models is known"),
            Err(failure) => {
                tracing::warn!(%failure, "the provider's list of models is not known; prices are those of before")
            }
        }
    }

    /// How many tokens a model takes, question and answer together.
    fn window_of(&self, model: &str) -> u64 {
        let told = || {
            self.prices
                .models()
                .of(model)
                .and_then(|listed| listed.window)
        };
        Some(self.context_window)
            .filter(|window| *window > 0)
            .or_else(told)
            .unwrap_or(USUAL_WINDOW)
    }

    fn model_of(&self, persona: &Persona) -> String {
        persona.model.clone().unwrap_or_else(|| self.model.clone())
    }
}

impl Backend for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn available(&self, persona: &Persona) -> Result<()> {
        McpServers::available(&self.servers, persona)?;
        self.access.ready()
    }

    fn model(&self, persona: &Persona) -> Option<String> {
        Some(self.model_of(persona))
    }

    fn others_write(&self, persona: &Persona) -> bool {
        Toolbox::others_write(persona)
    }

    fn secrets(&self) -> Vec<String> {
        self.access.later_key().into_iter().collect()
    }

    fn look_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.access.look_again())
    }

    fn in_background(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            loop {
                self.refresh().await;
                tokio::time::sleep(LIST_LOOK).await;
            }
        })
    }

    fn work<'a>(
        &'a self,
        job: &'a AgentJob,
        desk: &'a AttemptRecorder,
        stop: &'a AgentStop,
    ) -> AgentFuture<'a> {
        Box::pin(async move {
            let wire = self.access.open().await?;
            let shelf = Arc::new(
                McpServers::open(
                    &self.servers,
                    &job.persona,
                    &job.worktree,
                    job.repository.as_deref(),
                )
                .await?,
            );
            let tools = Toolbox::new(&job.worktree, &job.persona, self.launcher.clone())?
                .with_servers(Arc::clone(&shelf))
                .counting(&job.growth);
            if tools.has("execute") && job.history.is_empty() {
                let protection = self.protection.get_or_init(|| self.launcher.probe()).await;
                let (confined, words) = (protection.confined(), protection.describe());
                desk.add_opening_fact(|phase_key, attempt| RunFact::CommandsConfined {
                    phase_key: phase_key.clone(),
                    attempt,
                    confined,
                    words,
                });
            }
            if !shelf.is_empty() && job.history.is_empty() {
                let kernel = self
                    .fence
                    .get_or_init(|| self.launcher.probe_program())
                    .await;
                for (confined, words) in shelf.protections(kernel) {
                    desk.add_opening_fact(|phase_key, attempt| RunFact::CommandsConfined {
                        phase_key: phase_key.clone(),
                        attempt,
                        confined,
                        words,
                    });
                }
            }
            let (model, conversation) = (self.model_of(&job.persona), String::new());
            let (wire, prices, pace, window) =
                (&*wire, &self.prices, self.pace, self.window_of(&model));
            let structured = structured::wanted(job, prices.models().of(&model).as_ref());
            let (schema_refused, tries) = (AtomicBool::new(false), &AtomicU32::new(job.tries));
            let worker = ChatWorker {
                wire,
                prices,
                pace,
                model,
                window,
                structured,
                schema_refused,
                job,
                book: desk,
                stop,
                tools,
                tries,
                conversation,
            };
            let ended = worker.run().await;
            shelf.end().await;
            ended
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Code;

    fn backend(settings: &OpenAiSettings) -> Result<OpenAi> {
        OpenAi::new(settings, PriceTable::new(&BTreeMap::new()).unwrap())
    }

    #[test]
    fn a_missing_key_names_its_variable_and_the_way_out() {
        let settings = OpenAiSettings {
            key_env: "PHASEDECK_TEST_NO_SUCH_KEY".to_owned(),
            ..OpenAiSettings::default()
        };
        let persona = test_support::persona();
        let failure = backend(&settings).unwrap().available(&persona).unwrap_err();
        assert_eq!(failure.code, Code::BackendUnavailable);
        assert!(
            failure
                .message
                .contains("PHASEDECK_TEST_NO_SUCH_KEY is not set"),
            "{}",
            failure.message
        );
        let without = OpenAiSettings {
            key_env: String::new(),
            ..settings
        };
        assert!(backend(&without).unwrap().available(&persona).is_ok());
    }

    #[test]
    fn a_base_url_that_cannot_be_used_is_named() {
        for base_url in [
            "",
            "openrouter.ai/api",
            "ftp://x/",
            "https://me:secret@host/v1",
        ] {
            let settings = OpenAiSettings {
                base_url: base_url.to_owned(),
                ..OpenAiSettings::default()
            };
            let failure = backend(&settings).err().unwrap();
            assert_eq!(failure.code, Code::ConfigInvalid, "{base_url}");
            assert!(
                failure.message.contains("openai.base_url") && !failure.message.contains("secret"),
                "{}",
                failure.message
            );
        }
    }

    #[test]
    fn the_persona_names_the_model_or_the_settings_do() {
        let backend = backend(&OpenAiSettings {
            key_env: String::new(),
            ..OpenAiSettings::default()
        })
        .unwrap();
        let mut persona = test_support::persona();
        persona.model = None;
        assert_eq!(
            backend.model(&persona).as_deref(),
            Some("anthropic/claude-sonnet-4.5")
        );
        persona.model = Some("x/y".to_owned());
        assert_eq!(backend.model(&persona).as_deref(), Some("x/y"));
    }

    #[tokio::test]
    async fn the_list_of_models_is_asked_for_once_a_day_and_never_without_a_key() {
        let server = model_server::ModelServer::queue([])
            .await
            .telling_models(&serde_json::json!({"data": [{"id": "m", "context_length": 9}]}));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("models.json");
        let settings = OpenAiSettings {
            base_url: server.base_url(),
            key_env: String::new(),
            ..OpenAiSettings::default()
        };
        let with = |settings: &OpenAiSettings| {
            let prices = PriceTable::new(&BTreeMap::new())
                .unwrap()
                .knowing(ModelList::kept(&file, &settings.base_url));
            OpenAi::new(settings, prices).unwrap()
        };
        for silent in [
            OpenAiSettings {
                model_list: false,
                ..settings.clone()
            },
            OpenAiSettings {
                key_env: "PHASEDECK_TEST_NO_SUCH_KEY".to_owned(),
                ..settings.clone()
            },
        ] {
            with(&silent).refresh().await;
            assert!(!file.exists());
        }
        let backend = with(&settings);
        assert_eq!(backend.window_of("m"), USUAL_WINDOW);
        backend.refresh().await;
        assert_eq!(
            (backend.window_of("m"), backend.window_of("other")),
            (9, USUAL_WINDOW)
        );
        assert_eq!(
            with(&OpenAiSettings {
                context_window: 77,
                ..settings.clone()
            })
            .window_of("m"),
            77
        );
        let written = std::fs::read(&file).unwrap();
        drop(server);
        let next = with(&settings);
        next.refresh().await;
        assert_eq!(
            (next.window_of("m"), std::fs::read(&file).unwrap()),
            (9, written),
            "the kept list is good for a day"
        );
    }
}
