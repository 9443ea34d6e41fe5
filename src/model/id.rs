//! Identifiers as types, so that a phase key can never stand where a role is meant.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Makes a new id; version 7, so that ids sort by the time they were made.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "a default id would not be unique")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
    };
}

uuid_id! {
    /// One execution of one workflow.
    RunId
}
uuid_id! {
    /// One question to the operator.
    RequestId
}
uuid_id! {
    /// One live conversation with an agent.
    SessionId
}
uuid_id! {
    /// One request to a model and its answer; also names the ledger row that pays for it.
    TurnId
}
uuid_id! {
    /// Sent by a console with each command, so that the same key press delivered twice acts once.
    ClientToken
}

impl RunId {
    /// The part that people read and type: the last eight hex digits, the random end of a version 7 id.
    #[must_use]
    pub fn short(&self) -> String {
        let text = self.0.simple().to_string();
        text[24..].to_owned()
    }
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(s: &str) -> Self {
                Self(s.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name_id! {
    /// Names a phase within its workflow, such as `spec`.
    PhaseKey
}
name_id! {
    /// Names a seat within a workflow, such as `architect`.
    RoleId
}
name_id! {
    /// Names a question to the operator, such as `spec_approved`.
    GateKey
}
name_id! {
    /// Names a lane of runs; at most one run holds it at a time.
    ThreadId
}
name_id! {
    /// Names an artifact schema, such as `dev/spec@1`.
    SchemaId
}

/// `name@version`, as workflows and personas are referred to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionedName {
    /// The name, without the version.
    pub name: String,
    /// The version, starting at 1.
    pub version: u32,
}

impl fmt::Display for VersionedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl FromStr for VersionedName {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (name, version) = s
            .split_once('@')
            .ok_or_else(|| format!("'{s}' is not name@version"))?;
        let version = version
            .parse()
            .map_err(|_| format!("'{version}' in '{s}' is not a version number"))?;
        if is_name(name) {
            Ok(Self {
                name: name.to_owned(),
                version,
            })
        } else {
            Err(format!("'{name}' is not a name"))
        }
    }
}

impl Serialize for VersionedName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for VersionedName {
    fn schema_name() -> Cow<'static, str> {
        "VersionedName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "`name@version`.", "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]*@[0-9]+$" })
    }
}

impl<'de> Deserialize<'de> for VersionedName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Whether `s` fits the grammar of every name an operator writes: ASCII, starts with a letter, then
/// letters, digits, `_` and `-`, at most 64 characters.
#[must_use]
pub fn is_name(s: &str) -> bool {
    s.len() <= 64
        && s.starts_with(|c: char| c.is_ascii_alphabetic())
        && s.chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_versioned_name_reads_back_as_written() {
        let name: VersionedName = "development@1".parse().unwrap();
        assert_eq!(name.to_string(), "development@1");
        for bad in ["development", "development@", "@1", "a b@1", "x@-1", "1x@1"] {
            assert!(bad.parse::<VersionedName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_short_id_is_the_random_end() {
        let id: RunId = "01930000-0000-7000-8000-0000deadbeef".parse().unwrap();
        assert_eq!(id.short(), "deadbeef");
    }
}
