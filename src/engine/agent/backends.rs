//! The backends of a program, by the names that personas give.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Backend;
use crate::model::error::{Code, Failure, Result};

/// Backends by name.
#[derive(Default)]
pub struct BackendRegistry(BTreeMap<&'static str, Arc<dyn Backend>>);

impl BackendRegistry {
    /// The one of this name.
    ///
    /// # Errors
    /// `backend_unavailable` when the program has none such.
    pub fn named(&self, name: &str) -> Result<&Arc<dyn Backend>> {
        self.0.get(name).ok_or_else(|| {
            let known: Vec<_> = self.0.keys().copied().collect();
            Failure::new(
                Code::BackendUnavailable,
                format!("backend '{name}' is not part of this program"),
            )
            .hint(format!("backends here: {}", known.join(", ")))
        })
    }

    /// A person has a run go on: see [`Backend::look_again`].
    pub async fn look_again(&self) {
        for backend in self.all() {
            backend.look_again().await;
        }
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Backend>> {
        self.0.values()
    }
}

impl FromIterator<Arc<dyn Backend>> for BackendRegistry {
    fn from_iter<I: IntoIterator<Item = Arc<dyn Backend>>>(backends: I) -> Self {
        Self(
            backends
                .into_iter()
                .map(|backend| (backend.name(), backend))
                .collect(),
        )
    }
}
