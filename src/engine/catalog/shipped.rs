//! The shipped set, as text within the binary.

/// Text of a shipped file by its path beneath `schemas/`.
macro_rules! shipped {
    ($folder:literal, $ending:literal; $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../schemas/", $folder, "/", $name, $ending)))),*]
    };
}

/// Workflows by file name.
pub(super) const WORKFLOWS: &[(&str, &str)] = shipped!("workflows", ".yaml";);

/// Personas by file name.
pub(super) const PERSONAS: &[(&str, &str)] = shipped!("personas", ".yaml";);

/// Artifact schemas by id.
pub(super) const SCHEMAS: &[(&str, &str)] = shipped!("artifacts", ".json";);
