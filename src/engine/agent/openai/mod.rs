//! Any endpoint that speaks Chat Completions, as a backend.

use super::{Backend, Desk, Job, Stop, Work};
use crate::model::error::{Failure, Result};
use crate::model::persona::Persona;
use crate::model::settings::OpenAiSettings;

pub use self::prices::Prices;

mod prices;

/// The backend that talks to a model over HTTP.
pub struct OpenAi {
    settings: OpenAiSettings,
}

impl OpenAi {
    /// Makes the HTTP client; nothing is sent.
    ///
    /// # Errors
    /// `config_invalid` when the base URL or a header cannot be used.
    pub fn new(settings: &OpenAiSettings, prices: Prices) -> Result<Self> {
        let _ = prices;
        Ok(Self { settings: settings.clone() })
    }
}

impl Backend for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn available(&self, _persona: &Persona) -> Result<()> {
        Ok(())
    }

    fn model(&self, persona: &Persona) -> Option<String> {
        Some(persona.model.clone().unwrap_or_else(|| self.settings.model.clone()))
    }

    fn work<'a>(&'a self, job: &'a Job, desk: &'a Desk, stop: &'a Stop) -> Work<'a> {
        let _ = (job, desk, stop);
        Box::pin(async { Err(Failure::internal("not built")) })
    }
}
