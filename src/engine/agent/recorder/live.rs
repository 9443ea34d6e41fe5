//! What a backend says while it works, to whoever watches; nothing of it is stored here.
//!
//! Text that comes in pieces is held back where it may be the beginning of a secret. Our own lines, and
//! whatever is stored, end it: what is held by then is no secret.

use std::sync::PoisonError;

use super::AttemptRecorder;
use crate::engine::api::TextKind;
use crate::engine::redact::LiveRedactor;

impl AttemptRecorder {
    /// Words without secrets.
    #[must_use]
    pub fn hidden(&self, words: &str) -> String {
        self.redactor.apply(words).into_owned()
    }

    /// Shows a piece of text to whoever watches. Never blocks, may be dropped.
    pub fn text(&self, kind: TextKind, text: &str) {
        let shown = match kind {
            TextKind::Answer => self
                .live
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .answer
                .push(&self.redactor, text),
            TextKind::Reasoning => self
                .live
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .reasoning
                .push(&self.redactor, text),
            TextKind::Tool | TextKind::Note => {
                self.say_rest();
                self.hidden(text)
            }
        };
        self.show(kind, &shown);
    }

    /// Shows what was held back, because nothing can follow it any more.
    pub(super) fn say_rest(&self) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let (reasoning, answer) = (
            live.reasoning.finish(&self.redactor),
            live.answer.finish(&self.redactor),
        );
        drop(live);
        self.show(TextKind::Reasoning, &reasoning);
        self.show(TextKind::Answer, &answer);
    }

    fn show(&self, kind: TextKind, text: &str) {
        if !text.is_empty() {
            self.journal
                .publish_text(self.run_id, &self.phase_key, self.attempt, kind, text);
        }
    }
}

/// The texts that are under way.
#[derive(Default)]
pub(super) struct LiveTexts {
    reasoning: LiveRedactor,
    answer: LiveRedactor,
}
