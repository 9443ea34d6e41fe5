//! The way to the provider as it is now: one key and its wire, until the key turns out to be another.
//!
//! A key that was refused is not tried again by every run in turn: the wire remembers it, and whoever would ask
//! next hears the same without asking ([`Wire::key_refused`]). It is forgotten when a person has a run go on. The
//! place of the key is looked at again then, and when work begins under a refused or missing key, so that a
//! mended key file counts at once; work that has begun keeps the wire it began with.

use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

use super::fault::ModelFault;
use super::key;
use super::wire::{ChatTransport, StreamLimits};
use crate::engine::blocking::blocking;
use crate::model::error::{Failure, Result};
use crate::model::settings::OpenAiSettings;

/// Where the way to the provider is kept.
pub(super) struct ClientHandle {
    settings: OpenAiSettings,
    /// The key that was there at first: whoever hides secrets knows it.
    first: Option<SecretString>,
    now: Mutex<CurrentClient>,
}

#[derive(Clone)]
struct CurrentClient {
    key: Option<SecretString>,
    wire: Arc<ChatTransport>,
    /// Why there is no key, where there should be one.
    keyless: Option<Failure>,
}

impl CurrentClient {
    /// With what was found where the key should be.
    fn with(settings: &OpenAiSettings, found: Result<Option<SecretString>>) -> Result<Self> {
        let (key, keyless) = match found {
            Ok(key) => (key, None),
            Err(failure) => (None, Some(failure)),
        };
        Ok(Self {
            wire: Arc::new(ChatTransport::new(
                settings,
                key.clone(),
                StreamLimits::of(settings),
            )?),
            key,
            keyless,
        })
    }
}

impl ClientHandle {
    /// Reads the key; nothing is sent.
    ///
    /// # Errors
    /// `config_invalid` when the base URL, a header or the key cannot be used.
    pub(super) fn new(settings: &OpenAiSettings) -> Result<Self> {
        let now = CurrentClient::with(settings, key::key(settings))?;
        Ok(Self {
            settings: settings.clone(),
            first: now.key.clone(),
            now: Mutex::new(now),
        })
    }

    fn now(&self) -> CurrentClient {
        self.now
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn take(&self, now: CurrentClient) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// The wire.
    pub(super) fn wire(&self) -> Arc<ChatTransport> {
        self.now().wire
    }

    /// Whether a model can be asked: there is a key where there must be one, and a client. A key file that was
    /// missing is looked for again, which costs little.
    ///
    /// # Errors
    /// `backend_unavailable`, saying what is missing.
    pub(super) fn ready(&self) -> Result<()> {
        let mut now = self.now();
        if now.keyless.is_some() && matches!(key::place(&self.settings), key::KeySource::File(_)) {
            let found = key::key(&self.settings);
            if found.is_ok() {
                now = CurrentClient::with(&self.settings, found)?;
                self.take(now.clone());
            }
        }
        now.keyless.map_or_else(|| now.wire.ready(), Err)
    }

    /// The key that came in place of the first one.
    pub(super) fn later_key(&self) -> Option<String> {
        let key = self.now().key?.expose_secret().to_owned();
        Some(key).filter(|key| {
            self.first
                .as_ref()
                .is_none_or(|first| first.expose_secret() != key)
        })
    }

    /// The wire for work that begins.
    ///
    /// # Errors
    /// The refusal of the key, where there is no other one by now.
    pub(super) async fn open(&self) -> Result<Arc<ChatTransport>> {
        self.reread(false).await;
        let wire = self.wire();
        wire.key_refused()
            .map_or(Ok(wire), |fault: ModelFault| Err(fault.into_failure(1)))
    }

    /// A person has a run go on: the key may be mended, or be good again at the provider.
    pub(super) async fn look_again(&self) {
        self.reread(true).await;
        self.wire().forget_refusal();
    }

    /// Looks for another key in place of a refused or missing one; a command is asked anew only where a `person`
    /// waits for it, who may have to unlock what it opens.
    async fn reread(&self, person: bool) {
        let before = self.now();
        if before.keyless.is_none() && before.wire.key_refused().is_none() {
            return;
        }
        let settings = self.settings.clone();
        let look = move || {
            if person {
                key::forget(&settings);
            }
            let found = key::key(&settings);
            let another = found.as_ref().is_ok_and(|found| {
                before.keyless.is_some() || words(found.as_ref()) != words(before.key.as_ref())
            });
            if another {
                CurrentClient::with(&settings, found).map(Some)
            } else {
                Ok(None)
            }
        };
        match blocking(look).await {
            Ok(Some(found)) => self.take(found),
            Ok(None) => {}
            Err(failure) => {
                tracing::warn!(%failure, "the key was looked for again; the one of before stays")
            }
        }
    }
}

fn words(key: Option<&SecretString>) -> Option<&str> {
    key.map(ExposeSecret::expose_secret)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::model::error::Code;

    #[tokio::test]
    async fn a_key_that_was_missing_or_refused_counts_as_soon_as_it_is_there_and_is_known_to_be_a_secret()
     {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let write = |key: &str| {
            std::fs::write(&file, key).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        let key_file = file.to_string_lossy().into_owned();
        let access = ClientHandle::new(&OpenAiSettings {
            key_env: String::new(),
            key_file,
            ..OpenAiSettings::default()
        })
        .unwrap();
        assert_eq!(access.ready().unwrap_err().code, Code::BackendUnavailable);
        write("the-first-key");
        assert_eq!(
            (access.ready(), access.later_key().as_deref()),
            (Ok(()), Some("the-first-key"))
        );
        let before = access.wire();
        write("the-second-key");
        access.look_again().await;
        assert!(
            Arc::ptr_eq(&before, &access.wire()),
            "a key that nobody refused is left alone"
        );

        before.refuse("no such key");
        assert_eq!(before.key_refused().unwrap().code, Code::LlmAuth);
        let opened = access.open().await.unwrap();
        assert!(
            !Arc::ptr_eq(&before, &opened) && opened.key_refused().is_none(),
            "another key, another wire"
        );
        assert_eq!(access.later_key().as_deref(), Some("the-second-key"));
        assert!(
            before.key_refused().is_some(),
            "who began with the other one does not ask with it again"
        );

        opened.refuse("nor this");
        assert!(
            access.open().await.is_err(),
            "the same key is not asked with"
        );
        access.look_again().await;
        assert!(
            Arc::ptr_eq(&opened, &access.open().await.unwrap()),
            "but where a person says so"
        );
    }
}
