//! Content hashes: SHA-256 over bytes, and over canonical JSON (RFC 8785) for things that are data.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A SHA-256 in lower-case hex.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct ContentHash(#[schemars(extend("pattern" = "^[0-9a-f]{64}$"))] pub String);

impl ContentHash {
    /// Hashes the whole of `bytes`.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    /// Hashes `value` by its canonical JSON, so that key order and spacing do not matter.
    ///
    /// # Errors
    /// When the value cannot be written as JSON (a map with keys that are not strings, a NaN).
    pub fn from_canonical_json(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self::from_bytes(&serde_json_canonicalizer::to_vec(value)?))
    }

    /// The first eight hex digits, for reading aloud.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }

    /// The hash as hex text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_hashes_ignore_key_order_and_see_every_byte() {
        let a: serde_json::Value = serde_json::from_str(r#"{"b":1,"a":[1,2]}"#).unwrap();
        let b: serde_json::Value = serde_json::from_str(r#"{ "a" : [1, 2], "b" : 1 }"#).unwrap();
        assert_eq!(
            ContentHash::from_canonical_json(&a).unwrap(),
            ContentHash::from_canonical_json(&b).unwrap()
        );
        assert_ne!(
            ContentHash::from_bytes(b"a\n"),
            ContentHash::from_bytes(b"a")
        );
    }
}
