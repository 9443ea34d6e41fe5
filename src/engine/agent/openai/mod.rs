//! Any endpoint that speaks Chat Completions, as a backend.
//!
//! ```text
//! work ── conversation (stored turns → messages, what next)      pure
//!   │  ── circles (the same again and again)                     pure
//!   │  ── prices (reserve, cost)                                 pure
//!   ├── wire ── sse (bytes → events) ── assemble, calls (chunks → answer, by the shapes of chat)
//!   │     └── fault (status or fault → code, another try or none)
//!   ├── delegate (questions of tools; sub-agents: the same loop, with a context of its own)
//!   ├── tools (files and commands, confined to the worktree)
//!   └── book (the desk: what must be stored before it is acted on)
//! ```
//!
//! Only `work` waits for anything but bytes. Not here: judging the artifact, budgets (the desk
//! refuses a reserve), and keeping a long conversation within the model's window: a conversation
//! that outgrows it ends with the provider's refusal, `llm_bad_response`.

use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::OnceCell;

use self::wire::{Limits, Wire};
use self::work::{Pace, Worker};
use super::tools::Toolbox;
use super::{Backend, Desk, Job, Stop, Work};
use crate::engine::confine::{Launcher, Protection};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::Fact;
use crate::model::persona::Persona;
use crate::model::settings::OpenAiSettings;

pub use self::prices::Prices;

mod assemble;
mod book;
mod calls;
mod chat;
mod circles;
mod conversation;
mod delegate;
mod fault;
mod prices;
mod sse;
mod wire;
mod work;

#[cfg(test)]
#[path = "../../../../tests/support/model_server.rs"]
mod model_server;
#[cfg(test)]
mod scene;

/// The backend that talks to a model over HTTP.
pub struct OpenAi {
    wire: Wire,
    prices: Prices,
    pace: Pace,
    model: String,
    key_env: String,
    has_key: bool,
    launcher: Launcher,
    protection: OnceCell<Protection>,
}

impl OpenAi {
    /// Makes the HTTP client and reads the key from its variable; nothing is sent. A key that is not
    /// there is no error yet: [`available`](Backend::available) says so.
    ///
    /// # Errors
    /// `config_invalid` when the base URL, a header or the key cannot be used.
    pub fn new(settings: &OpenAiSettings, prices: Prices) -> Result<Self> {
        let key = std::env::var(&settings.key_env).ok().filter(|_| !settings.key_env.is_empty());
        let key = key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()).map(SecretString::from);
        let has_key = key.is_some();
        Ok(Self {
            wire: Wire::new(settings, key, Limits::of(settings))?,
            prices,
            pace: Pace { max_tries: settings.max_tries.max(1), base: Duration::from_secs(1) },
            model: settings.model.clone(),
            key_env: settings.key_env.clone(),
            has_key,
            launcher: Launcher::own(),
            protection: OnceCell::new(),
        })
    }

    /// Sets the first pause between two tries, which later ones double; a second unless set.
    #[must_use]
    pub fn with_first_pause(mut self, pause: Duration) -> Self {
        self.pace.base = pause;
        self
    }

    /// Begins commands by another copy of this program, for processes that are not it.
    #[must_use]
    pub fn with_launcher(mut self, launcher: Launcher) -> Self {
        self.launcher = launcher;
        self
    }

    fn model_of(&self, persona: &Persona) -> String {
        persona.model.clone().unwrap_or_else(|| self.model.clone())
    }
}

impl Backend for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn available(&self, _persona: &Persona) -> Result<()> {
        if self.has_key || self.key_env.is_empty() {
            return Ok(());
        }
        let variable = &self.key_env;
        Err(Failure::new(Code::BackendUnavailable, format!("the backend 'openai' has no key: {variable} is not set"))
            .hint(format!("set {variable} to the provider's key, or 'openai.key_env' to \"\" for a server that needs none")))
    }

    fn model(&self, persona: &Persona) -> Option<String> {
        Some(self.model_of(persona))
    }

    fn work<'a>(&'a self, job: &'a Job, desk: &'a Desk, stop: &'a Stop) -> Work<'a> {
        Box::pin(async move {
            let tools = Toolbox::new(&job.worktree, &job.persona, self.launcher.clone())?;
            if tools.has("execute") && job.history.is_empty() {
                let protection = self.protection.get_or_init(|| self.launcher.probe()).await;
                let (confined, words) = (protection.confined(), protection.words());
                desk.also(|phase_key, attempt| Fact::CommandsConfined { phase_key: phase_key.clone(), attempt, confined, words });
            }
            let (model, conversation) = (self.model_of(&job.persona), String::new());
            Worker { wire: &self.wire, prices: &self.prices, pace: self.pace, model, job, book: desk, stop, tools, conversation }
                .run()
                .await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn backend(settings: &OpenAiSettings) -> Result<OpenAi> {
        OpenAi::new(settings, Prices::new(&BTreeMap::new()).unwrap())
    }

    #[test]
    fn a_missing_key_names_its_variable_and_the_way_out() {
        let settings = OpenAiSettings { key_env: "PHASEDECK_TEST_NO_SUCH_KEY".to_owned(), ..OpenAiSettings::default() };
        let persona = scene::persona();
        let failure = backend(&settings).unwrap().available(&persona).unwrap_err();
        assert_eq!(failure.code, Code::BackendUnavailable);
        assert!(failure.message.contains("PHASEDECK_TEST_NO_SUCH_KEY is not set"), "{}", failure.message);
        let without = OpenAiSettings { key_env: String::new(), ..settings };
        assert!(backend(&without).unwrap().available(&persona).is_ok());
    }

    #[test]
    fn a_base_url_that_cannot_be_used_is_named() {
        for base_url in ["", "openrouter.ai/api", "ftp://x/", "https://me:secret@host/v1"] {
            let settings = OpenAiSettings { base_url: base_url.to_owned(), ..OpenAiSettings::default() };
            let failure = backend(&settings).err().unwrap();
            assert_eq!(failure.code, Code::ConfigInvalid, "{base_url}");
            assert!(failure.message.contains("openai.base_url") && !failure.message.contains("secret"), "{}", failure.message);
        }
    }

    #[test]
    fn the_persona_names_the_model_or_the_settings_do() {
        let backend = backend(&OpenAiSettings { key_env: String::new(), ..OpenAiSettings::default() }).unwrap();
        let mut persona = scene::persona();
        persona.model = None;
        assert_eq!(backend.model(&persona).as_deref(), Some("anthropic/claude-sonnet-4.5"));
        persona.model = Some("x/y".to_owned());
        assert_eq!(backend.model(&persona).as_deref(), Some("x/y"));
    }
}
