//! Texts that a gate is decided by, beside the artifact itself: the versions that did not fit, what
//! the operator said before and what became of it, what the agent was told.

use super::document::{Document, Ink};
use super::json_diff::{self, Change};
use crate::model::hash::ContentHash;
use crate::model::persona::{Permission, Persona};
use crate::model::record::{ApprovalRecord, ArtifactRecord};
use crate::model::state::ApprovalStatus;

/// Lines of a difference that are told beneath a comment where no pointer can name a place.
const LINES_TOLD: usize = 200;

/// Versions that did not fit, each whole, with what was wrong beneath its place.
#[must_use]
pub fn errors(versions: &[(&ArtifactRecord, Vec<u8>)]) -> Document {
    let mut doc = Document::default();
    for (version, bytes) in versions {
        if !doc.lines.is_empty() {
            doc.push(Ink::Plain, "");
        }
        let count = match version.errors.len() {
            1 => "1 error".to_owned(),
            count => format!("{count} errors"),
        };
        doc.push(
            Ink::Heading,
            &format!(
                "v{}, attempt {}: {count} against {}",
                version.version, version.attempt, version.schema
            ),
        );
        doc.lines
            .extend(Document::of_checked(&version.path, bytes, &version.errors).lines);
    }
    if doc.lines.is_empty() {
        doc.push(Ink::Note, "no attempt of this phase was invalid");
    }
    doc
}

/// A comment of the operator, with the content that it was about where that is stored.
pub type Said<'a> = (&'a ApprovalRecord, Option<Vec<u8>>);

/// What the operator said, the newest first, each with the places that changed since.
#[must_use]
pub fn comments(said: &[Said<'_>], current: &[u8]) -> Document {
    let mut doc = Document::default();
    for (record, about) in said.iter().rev() {
        if !doc.lines.is_empty() {
            doc.push(Ink::Plain, "");
        }
        let version = record
            .artifact_version
            .map(|v| format!(" on v{v}"))
            .unwrap_or_default();
        let by = record.resolved_by.as_deref().unwrap_or("somebody");
        doc.push(
            Ink::Heading,
            &format!("{}{version} by {by}", worded(record.state)),
        );
        doc.push_all(
            Ink::Plain,
            &indented(record.comment.as_deref().unwrap_or_default()),
        );
        match about {
            Some(old) => push_answered(&mut doc, old, current),
            None => doc.push(Ink::Note, "what it was about is not stored"),
        }
    }
    if doc.lines.is_empty() {
        doc.push(Ink::Note, "you said nothing about this phase yet");
    }
    doc
}

/// Where the content answers: the places that changed since.
fn push_answered(doc: &mut Document, old: &[u8], new: &[u8]) {
    let both = std::str::from_utf8(old)
        .ok()
        .zip(std::str::from_utf8(new).ok());
    match both.and_then(|(old, new)| json_diff::changes(old, new)) {
        Some(changes) if changes.is_empty() => doc.push(Ink::Error, "  nothing changed since"),
        Some(changes) => {
            doc.push(Ink::Note, "  changed since:");
            changes.iter().for_each(|change| push_place(doc, change));
        }
        None => {
            doc.push(Ink::Note, "  changed since:");
            let lines = Document::of_line_diff(old, new).lines;
            let more = lines.len().saturating_sub(LINES_TOLD);
            doc.lines.extend(lines.into_iter().take(LINES_TOLD));
            if more > 0 {
                doc.push(
                    Ink::Note,
                    &format!("{more} more lines; the difference to that version has them"),
                );
            }
        }
    }
}

fn push_place(doc: &mut Document, change: &Change) {
    let ink = match change {
        Change::Added { .. } => Ink::Added,
        Change::Removed { .. } => Ink::Removed,
        Change::Changed { .. } | Change::Moved { .. } => Ink::Plain,
    };
    let value = match change {
        Change::Added { value, .. } | Change::Changed { new: value, .. } => {
            format!("  {}", shortened(value))
        }
        Change::Moved { from, .. } => format!(" from {from}"),
        Change::Removed { .. } => String::new(),
    };
    let at = if change.at().is_empty() {
        "(whole document)"
    } else {
        change.at()
    };
    doc.push(ink, &format!("  {at}  {}{value}", change.word()));
}

/// One line's worth of a value; the difference has all of it.
fn shortened(value: &str) -> String {
    let mut chars = value.chars();
    let head: String = chars.by_ref().take(80).collect();
    if chars.next().is_some() {
        format!("{head}…")
    } else {
        head
    }
}

fn worded(state: ApprovalStatus) -> &'static str {
    match state {
        ApprovalStatus::Approved => "approved",
        ApprovalStatus::ChangesRequested => "changes requested",
        ApprovalStatus::Rejected => "rejected",
        ApprovalStatus::Aborted => "aborted",
        ApprovalStatus::Superseded => "superseded",
        ApprovalStatus::Pending => "asked",
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// What the agent of a phase had in hand.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
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
pub fn inputs(inputs: &Inputs) -> Document {
    let mut doc = Document::default();
    if let Some((persona, model)) = &inputs.persona {
        doc.push(Ink::Heading, "Persona");
        let model = model.as_deref().unwrap_or(&persona.backend);
        doc.push(
            Ink::Plain,
            &format!("  {}@{} ({model})", persona.name, persona.version),
        );
        for tool in &persona.tools {
            let may = match persona.permission(tool) {
                Permission::Auto => "may",
                Permission::Ask => "asks",
                Permission::Deny => "may not",
            };
            doc.push(Ink::Plain, &format!("  {may:<7} {tool}"));
        }
        doc.push_all(Ink::Note, &indented(&persona.system_prompt));
        doc.push(Ink::Plain, "");
    }
    doc.push(Ink::Heading, "Requirements");
    doc.push_all(Ink::Plain, &indented(&inputs.requirements));
    if !inputs.earlier.is_empty() {
        doc.push(Ink::Plain, "");
        doc.push(Ink::Heading, "Artifacts of the phases before");
        inputs.earlier.iter().for_each(|(path, version, hash)| {
            doc.push(Ink::Plain, &format!("  {path} v{version} {}", hash.short()))
        });
    }
    doc.push(Ink::Plain, "");
    doc.push(Ink::Heading, "Prompt of the last attempt, as it was sent");
    match &inputs.prompt {
        Some(prompt) => doc.push_all(Ink::Plain, prompt),
        None => doc.push(Ink::Note, "  not stored"),
    }
    doc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::sample::{self, Place, SPEC_V1, SPEC_V2};

    fn texts(doc: &Document) -> Vec<&str> {
        doc.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn a_comment_is_followed_by_the_places_that_changed_since() {
        let opened = sample::opened(
            &sample::journal(Place::Awaiting),
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
        let told = Inputs {
            requirements: "a cart\nin cents".to_owned(),
            prompt: Some("do\nit".to_owned()),
            ..Inputs::default()
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
            texts(&inputs(&Inputs::default())).last(),
            Some(&"  not stored")
        );
    }
}
