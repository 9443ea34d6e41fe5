//! Words for a rehearsal: what a field would say, from its name, its description and the operator's
//! requirements. Each is marked as rehearsal, so that nobody takes it for work.

use serde_json::{Map, Value};

use super::DocumentContext;
use crate::engine::agent::rehearsal::generate::generator::SchemaPosition;

/// Begins every text that could be taken for an agent's.
pub const MARK: &str = "Rehearsal: ";

/// What a field named so would say, element by element.
const SAYINGS: &[(&[&str], &[&str])] = &[
    (
        &["criteri", "acceptance"],
        &[
            "The result does what was asked for: {topic}.",
            "Somebody who was not there can check it by following the description alone.",
            "Nothing that worked before works differently now.",
            "Wrong input is answered with a message that says what to do.",
        ],
    ),
    (
        &["risk", "concern"],
        &[
            "The requirements may leave cases open that only show while building.",
            "A change in one place may surprise who relies on the old behaviour.",
            "The effort may be larger than it looks.",
        ],
    ),
    (
        &["step", "plan", "todo", "action"],
        &[
            "Read what is there before changing it.",
            "Make the smallest change that gives “{topic}”.",
            "Add a test that fails without the change.",
            "Look at the whole once more and tidy up.",
        ],
    ),
    (
        &["question", "unknown"],
        &[
            "Who will use the result, and how often?",
            "What may it cost?",
            "How is it known to be done?",
        ],
    ),
    (
        &["finding", "evidence", "observation", "cause"],
        &[
            "What was seen points at {topic}.",
            "A second look confirmed it.",
            "One case remains open.",
        ],
    ),
    (
        &["test", "check", "verif"],
        &[
            "The main path was walked through.",
            "The limits were tried.",
            "Wrong input was tried.",
        ],
    ),
    (
        &["alternative", "option"],
        &[
            "Leave it as it is.",
            "Do it in two smaller steps.",
            "Do it later, with more knowledge.",
        ],
    ),
    (
        &["outofscope", "nongoal"],
        &[
            "What “{topic}” does not need.",
            "A redesign of what works.",
            "What can wait for another day.",
        ],
    ),
    (
        &["scope"],
        &[
            "Everything that “{topic}” needs.",
            "Nothing that can wait.",
            "No change to what works.",
        ],
    ),
];

/// The text that fits a place.
pub fn natural(
    about: &DocumentContext<'_>,
    spot: &SchemaPosition,
    keywords: &Map<String, Value>,
) -> String {
    let name = plain(&spot.name);
    match name.as_str() {
        "runid" => return about.run_id.to_string(),
        "phasekey" | "phase" => return about.phase_key.to_string(),
        _ if is_identifier(&name) => return slug(about, spot),
        _ => {}
    }
    let text = if ["requirement", "goal", "task", "objective"]
        .iter()
        .any(|word| name.starts_with(word))
    {
        requirement(about, spot)
    } else if let Some(saying) = saying(&name, about, spot) {
        saying
    } else if is_title(&name) {
        saying(&plain(&spot.parent), about, spot)
            .unwrap_or_else(|| numbered(topic(about), spot.index))
    } else {
        described(about, spot, keywords)
    };
    format!("{MARK}{text}")
}

/// Whether a text at this place may say anything, and not only an id or a path.
pub fn is_free(spot: &SchemaPosition) -> bool {
    let name = plain(&spot.name);
    !is_identifier(&name) && !["runid", "phasekey", "phase"].contains(&name.as_str())
}

/// A short name without spaces, different by place.
pub fn slug(about: &DocumentContext<'_>, spot: &SchemaPosition) -> String {
    let path = plain(&spot.name);
    if path.contains("path") || path.contains("file") {
        return format!("rehearsal/{}-{}.txt", about.phase_key, spot.index + 1);
    }
    format!("rehearsal-{}", spot.index + 1)
}

/// A name in lower case, letters and digits alone.
pub fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Cuts or pads a text to its limits, counted in characters.
pub fn fit(mut text: String, least: usize, most: usize) -> String {
    let mut length = text.chars().count();
    while length < least {
        let more = " An agent would say more here.";
        text.push_str(more);
        length += more.chars().count();
    }
    if length > most {
        cut(&text, most)
    } else {
        text
    }
}

/// Says a text again with the operator's comment quoted before it.
pub fn taking_up(comment: &str, old: &str, most: usize) -> String {
    let old = capitalised(old.strip_prefix(MARK).unwrap_or(old));
    let whole = format!("{MARK}as asked (“{comment}”). {old}");
    if whole.chars().count() <= most {
        whole
    } else {
        cut(&format!("{MARK}“{comment}”"), most)
    }
}

/// Places that speak of changes are the best ones to answer a comment; then places that explain.
pub fn rank_for_comment(name: &str) -> usize {
    let name = plain(name);
    let ranks = [
        "note",
        "comment",
        "summary",
        "approach",
        "description",
        "rationale",
        "answer",
        "requirement",
    ];
    let last = if is_title(&name) {
        ranks.len() + 1
    } else {
        ranks.len()
    };
    ranks
        .iter()
        .position(|word| name.contains(word))
        .unwrap_or(last)
}

/// A whole text document, for artifacts that are no JSON.
#[must_use]
pub fn prose(about: &DocumentContext<'_>) -> String {
    let comment = about.comment.map_or_else(String::new, |comment| {
        format!("## Changes\n\nAs asked: “{}”\n\n", comment.trim())
    });
    format!(
        "# {MARK}{}\n\nMade by a rehearsal of phase `{}`, attempt {}. No model was asked.\n\n## Requirements\n\n{}\n\n{comment}## Result\n\n\
         An agent would write its result here.\n",
        topic(about),
        about.phase_key,
        about.attempt,
        about.requirements.trim(),
    )
}

/// Characters of a topic at most.
const TOPIC: usize = 60;

/// The first line of the requirements, short enough for a title.
fn topic(about: &DocumentContext<'_>) -> String {
    let line = about
        .requirements
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("the work");
    let line = line
        .split_inclusive(". ")
        .next()
        .unwrap_or(line)
        .trim_end()
        .trim_end_matches('.');
    shortened(line, TOPIC)
}

/// Cut where a clause ends, where that leaves enough to know it by; else after a word, and marked.
fn shortened(line: &str, most: usize) -> String {
    let Some((end, _)) = line.char_indices().nth(most) else {
        return line.to_owned();
    };
    let clauses = line.match_indices([',', ';', ':', '(']).map(|(at, _)| at);
    if let Some(clause) = clauses
        .take_while(|at| *at <= end)
        .filter(|at| line[..*at].chars().count() >= most / 3)
        .last()
    {
        return line[..clause].trim_end().to_owned();
    }
    let word = line[..end]
        .rfind(' ')
        .filter(|at| line[..*at].chars().count() >= most / 3);
    word.map_or_else(
        || cut(line, most),
        |word| format!("{}…", line[..word].trim_end()),
    )
}

fn requirement(about: &DocumentContext<'_>, spot: &SchemaPosition) -> String {
    let whole = about.requirements.trim();
    let lines: Vec<&str> = whole
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let in_list = spot
        .pointer
        .rsplit('/')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()) && !last.is_empty());
    match lines.len() {
        0 => "nothing was asked for".to_owned(),
        n if in_list => numbered(lines[spot.index % n].to_owned(), spot.index / n),
        _ => whole.to_owned(),
    }
}

fn saying(name: &str, about: &DocumentContext<'_>, spot: &SchemaPosition) -> Option<String> {
    let (_, sayings) = SAYINGS
        .iter()
        .find(|(words, _)| words.iter().any(|word| name.contains(word)))?;
    let at = spot.index + about.attempt.saturating_sub(1) as usize;
    let text = sayings[at % sayings.len()]
        .replace("{topic}", &topic(about))
        .replace("….", "…");
    Some(numbered(text, spot.index / sayings.len()))
}

fn described(
    about: &DocumentContext<'_>,
    spot: &SchemaPosition,
    keywords: &Map<String, Value>,
) -> String {
    let own = ["description", "title"]
        .iter()
        .find_map(|key| keywords.get(*key).and_then(Value::as_str));
    let which = if spot.index == 0 {
        String::new()
    } else {
        format!(" (entry {})", spot.index + 1)
    };
    match own
        .or(spot.list.as_deref())
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        Some(description) => format!("an agent would write here{which}: {description}"),
        None => format!("{}{which} for “{}”.", label(&spot.name), topic(about)),
    }
}

fn is_title(name: &str) -> bool {
    [
        "title", "name", "heading", "headline", "subject", "summary", "text",
    ]
    .contains(&name)
}

fn numbered(text: String, round: usize) -> String {
    if round == 0 {
        text
    } else {
        format!("{text} ({})", round + 1)
    }
}

fn is_identifier(name: &str) -> bool {
    [
        "id", "key", "slug", "version", "path", "file", "filename", "branch", "url", "tag",
        "command", "language",
    ]
    .contains(&name)
        || ["path", "paths", "file", "files", "uuid"]
            .iter()
            .any(|word| name.ends_with(word))
}

/// A field's name as words: `acceptance_criteria` and `acceptanceCriteria` become `Acceptance criteria`.
fn label(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '_' | '-' | '.' => out.push(' '),
            c if c.is_uppercase() && !out.is_empty() => {
                out.extend([' '].into_iter().chain(c.to_lowercase()))
            }
            c if out.is_empty() => out.extend(c.to_uppercase()),
            c => out.push(c),
        }
    }
    if out.is_empty() {
        "A text".to_owned()
    } else {
        out
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

fn cut(text: &str, most: usize) -> String {
    if most < 4 {
        return text.chars().take(most).collect();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}
