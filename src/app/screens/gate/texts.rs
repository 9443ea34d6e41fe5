//! Texts that a gate is decided by, beside the artifact itself: the versions that did not fit, what
//! the operator said before and what became of it, what the agent was told.
use crate::app::text::document::{LineKind, TextDocument};
use crate::app::text::json_diff;
use crate::app::text::json_diff::JsonChange;
use crate::model::hash::ContentHash;
use crate::model::persona::{Persona, ToolPermission};
use crate::model::record::{ApprovalRecord, ArtifactRecord};
use crate::model::state::ApprovalStatus;

/// Lines of a difference that are told beneath a comment where no pointer can name a place.
const LINES_TOLD: usize = 200;

/// Versions that did not fit, each whole, with what was wrong beneath its place.
#[must_use]
pub fn errors(versions: &[(&ArtifactRecord, Vec<u8>)]) -> TextDocument {
    let mut doc = TextDocument::default();
    for (version, bytes) in versions {
        if !doc.lines.is_empty() {
            doc.push(LineKind::Plain, "");
        }
        let count = match version.errors.len() {
            1 => "1 error".to_owned(),
            count => format!("{count} errors"),
        };
        doc.push(
            LineKind::Heading,
            &format!(
                "v{}, attempt {}: {count} against {}",
                version.version, version.attempt, version.schema
            ),
        );
        doc.lines
            .extend(TextDocument::from_validated(&version.path, bytes, &version.errors).lines);
    }
    if doc.lines.is_empty() {
        doc.push(LineKind::Note, "no attempt of this phase was invalid");
    }
    doc
}

/// A comment of the operator, with the content that it was about where that is stored.
pub type CommentedVersion<'a> = (&'a ApprovalRecord, Option<Vec<u8>>);

/// What the operator said, the newest first, each with the places that changed since.
#[must_use]
pub fn comments(said: &[CommentedVersion<'_>], current: &[u8]) -> TextDocument {
    let mut doc = TextDocument::default();
    for (record, about) in said.iter().rev() {
        if !doc.lines.is_empty() {
            doc.push(LineKind::Plain, "");
        }
        let version = record
            .artifact_version
            .map(|v| format!(" on v{v}"))
            .unwrap_or_default();
        let by = record.resolved_by.as_deref().unwrap_or("somebody");
        doc.push(
            LineKind::Heading,
            &format!("{}{version} by {by}", status_text(record.state)),
        );
        doc.push_all(
            LineKind::Plain,
            &indent(record.comment.as_deref().unwrap_or_default()),
        );
        match about {
            Some(old) => push_changes_since(&mut doc, old, current),
            None => doc.push(LineKind::Note, "what it was about is not stored"),
        }
    }
    if doc.lines.is_empty() {
        doc.push(LineKind::Note, "you said nothing about this phase yet");
    }
    doc
}

/// Where the content answers: the places that changed since.
fn push_changes_since(doc: &mut TextDocument, old: &[u8], new: &[u8]) {
    let both = std::str::from_utf8(old)
        .ok()
        .zip(std::str::from_utf8(new).ok());
    match both.and_then(|(old, new)| json_diff::changes(old, new)) {
        Some(changes) if changes.is_empty() => doc.push(LineKind::Error, "  nothing changed since"),
        Some(changes) => {
            doc.push(LineKind::Note, "  changed since:");
            changes.iter().for_each(|change| push_change(doc, change));
        }
        None => {
            doc.push(LineKind::Note, "  changed since:");
            let lines = TextDocument::from_line_diff(old, new).lines;
            let more = lines.len().saturating_sub(LINES_TOLD);
            doc.lines.extend(lines.into_iter().take(LINES_TOLD));
            if more > 0 {
                doc.push(
                    LineKind::Note,
                    &format!("{more} more lines; the difference to that version has them"),
                );
            }
        }
    }
}

fn push_change(doc: &mut TextDocument, change: &JsonChange) {
    let ink = match change {
        JsonChange::Added { .. } => LineKind::Added,
        JsonChange::Removed { .. } => LineKind::Removed,
        JsonChange::Changed { .. } | JsonChange::Moved { .. } => LineKind::Plain,
    };
    let value = match change {
        JsonChange::Added { value, .. } | JsonChange::Changed { new: value, .. } => {
            format!("  {}", shorten(value))
        }
        JsonChange::Moved { from, .. } => format!(" from {from}"),
        JsonChange::Removed { .. } => String::new(),
    };
    let at = if change.pointer().is_empty() {
        "(whole document)"
    } else {
        change.pointer()
    };
    doc.push(ink, &format!("  {at}  {}{value}", change.label()));
}

/// One line's worth of a value; the difference has all of it.
fn shorten(value: &str) -> String {
    let mut chars = value.chars();
    let head: String = chars.by_ref().take(80).collect();
    if chars.next().is_some() {
        format!("{head}…")
    } else {
        head
    }
}

fn status_text(state: ApprovalStatus) -> &'static str {
    match state {
        ApprovalStatus::Approved => "approved",
        ApprovalStatus::ChangesRequested => "changes requested",
        ApprovalStatus::Rejected => "rejected",
        ApprovalStatus::Aborted => "aborted",
        ApprovalStatus::Superseded => "superseded",
        ApprovalStatus::Pending => "asked",
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// What the agent of a phase had in hand.
#[derive(Clone, Debug, Default)]
pub struct PhaseInputs {
    /// Its persona, with the model that was bound.
    pub persona: Option<(Persona, Option<String>)>,
    /// What the operator wants made.
    pub requirements: String,
    /// Valid artifacts of the phases before: path, version, hash.
    pub earlier: Vec<(String, u32, ContentHash)>,
    /// The last prompt, whole.
    pub prompt: Option<String>,
}

/// What the agent was told, and what it may do.
#[must_use]
pub fn inputs(inputs: &PhaseInputs) -> TextDocument {
    let mut doc = TextDocument::default();
    if let Some((persona, model)) = &inputs.persona {
        doc.push(LineKind::Heading, "Persona");
        let model = model.as_deref().unwrap_or(&persona.backend);
        doc.push(
            LineKind::Plain,
            &format!("  {}@{} ({model})", persona.name, persona.version),
        );
        for tool in &persona.tools {
            let may = match persona.permission(tool) {
                ToolPermission::Auto => "may",
                ToolPermission::Ask => "asks",
                ToolPermission::Deny => "may not",
            };
            doc.push(LineKind::Plain, &format!("  {may:<7} {tool}"));
        }
        doc.push_all(LineKind::Note, &indent(&persona.system_prompt));
        doc.push(LineKind::Plain, "");
    }
    doc.push(LineKind::Heading, "Requirements");
    doc.push_all(LineKind::Plain, &indent(&inputs.requirements));
    if !inputs.earlier.is_empty() {
        doc.push(LineKind::Plain, "");
        doc.push(LineKind::Heading, "Artifacts of the phases before");
        inputs.earlier.iter().for_each(|(path, version, hash)| {
            doc.push(
                LineKind::Plain,
                &format!("  {path} v{version} {}", hash.short()),
            )
        });
    }
    doc.push(LineKind::Plain, "");
    doc.push(
        LineKind::Heading,
        "Prompt of the last attempt, as it was sent",
    );
    match &inputs.prompt {
        Some(prompt) => doc.push_all(LineKind::Plain, prompt),
        None => doc.push(LineKind::Note, "  not stored"),
    }
    doc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::test_support;
    use crate::app::test_support::{SPEC_V1, SPEC_V2, SampleRunState};

    fn texts(doc: &TextDocument) -> Vec<&str> {
        doc.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn a_comment_is_followed_by_the_places_that_changed_since() {
        let opened = test_support::opened(
            &test_support::journal(SampleRunState::Awaiting),
            crate::model::state::Risk::Medium,
        );
        let record = opened
            .details
            .approvals
            .iter()
            .find(|a| a.comment.is_some())
            .unwrap();
        let doc = comments(
            &[(record, Some(SPEC_V1.as_bytes().to_vec()))],
            SPEC_V2.as_bytes(),
        );
        let lines = texts(&doc);
        assert_eq!(lines[0], "changes requested on v2 by mo");
        assert!(lines.contains(&"  changed since:"), "{lines:?}");
        assert!(
            lines.contains(&"  /requirements/2  added  \"prices in cents\""),
            "{lines:?}"
        );
        let same = comments(
            &[(record, Some(SPEC_V2.as_bytes().to_vec()))],
            SPEC_V2.as_bytes(),
        );
        assert_eq!(texts(&same).last(), Some(&"  nothing changed since"));
        let gone = comments(&[(record, None)], b"");
        assert_eq!(
            texts(&gone).last(),
            Some(&"what it was about is not stored")
        );
    }

    #[test]
    fn the_last_prompt_is_shown_whole_and_its_absence_is_said() {
        let told = PhaseInputs {
            requirements: "a cart\nin cents".to_owned(),
            prompt: Some("do\nit".to_owned()),
            ..PhaseInputs::default()
        };
        assert_eq!(
            texts(&inputs(&told)),
            [
                "Requirements",
                "  a cart",
                "  in cents",
                "",
                "Prompt of the last attempt, as it was sent",
                "do",
                "it"
            ]
        );
        assert_eq!(
            texts(&inputs(&PhaseInputs::default())).last(),
            Some(&"  not stored")
        );
    }
}
