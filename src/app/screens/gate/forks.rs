//! The artifact at a gate and those of its forks, compared: who made each, the verdict, what differs,
//! the cost, the time, and the texts beside each other where there is room, else what differs alone.
use crate::app::text::document::{LineKind, TextDocument};
use crate::app::text::side_by_side::SideBySide;
use crate::engine::api::ForkCandidate;
use crate::model::id::{RoleId, RunId};
use crate::model::time::human_duration;

/// Number of candidates shown side by side; more are listed one below the other.
const BESIDE: usize = 3;
/// Cells of a column of facts, at least and at most.
const COLUMN: (usize, usize) = (22, 40);
/// Columns from which two texts stand side by side.
const TEXTS_BESIDE: usize = 84;
/// Facts that are told of a candidate.
const FACTS: usize = 7;

/// A fork that is asked about: who could make the phase again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkRequest {
    /// The run at the gate.
    pub run_id: RunId,
    /// The seat that is taken by somebody else.
    pub role: RoleId,
    /// Who sits there now.
    pub current: String,
    /// Who could, `name@version`.
    pub personas: Vec<String>,
}

/// What a fork has instead of the artifact at the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ForkDiff {
    /// Its place among the candidates.
    place: usize,
    diff: TextDocument,
    beside: SideBySide,
}

/// Candidates whose contents were compared with the first one's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForkComparison {
    /// The artifact at the gate, then those of its forks.
    pub candidates: Vec<ForkCandidate>,
    instead: Vec<ForkDiff>,
}

impl ForkComparison {
    /// Compares the candidates, where their contents are stored. May take a second for each.
    #[must_use]
    pub fn new(candidates: Vec<(ForkCandidate, Option<Vec<u8>>)>) -> Self {
        let own = candidates.first().and_then(|(_, content)| content.clone());
        let against = |(place, (_, content)): (usize, &(ForkCandidate, Option<Vec<u8>>))| {
            let (own, content) = (own.as_ref()?, content.as_ref()?);
            // What was taken has nothing instead.
            if own == content {
                return None;
            }
            Some(ForkDiff {
                place,
                diff: TextDocument::from_diff(own, content),
                beside: SideBySide::new(own, content),
            })
        };
        let instead = candidates
            .iter()
            .enumerate()
            .skip(1)
            .filter_map(against)
            .collect();
        Self {
            candidates: candidates
                .into_iter()
                .map(|(candidate, _)| candidate)
                .collect(),
            instead,
        }
    }

    /// Lays the comparison out for a width in columns.
    #[must_use]
    pub fn document(&self, columns: u16) -> TextDocument {
        let mut doc = TextDocument::default();
        let columns = usize::from(columns);
        let all: Vec<_> = self
            .candidates
            .iter()
            .enumerate()
            .map(|(place, one)| self.facts(place, one))
            .collect();
        let room = columns.saturating_sub(12) / all.len().max(1);
        if all.len() <= BESIDE && room >= COLUMN.0 {
            push_columns(&mut doc, &all, room.min(COLUMN.1))
        } else {
            push_stacked(&mut doc, &all)
        }
        self.instead
            .iter()
            .for_each(|instead| self.push(&mut doc, instead, columns));
        doc
    }

    fn push(&self, doc: &mut TextDocument, instead: &ForkDiff, columns: usize) {
        let Some(fork) = self.candidates.get(instead.place) else {
            return;
        };
        doc.push(LineKind::Plain, "");
        doc.push(
            LineKind::Heading,
            &format!(
                "What fork {} ({}) has instead",
                instead.place,
                fork.run_id.short()
            ),
        );
        if let Some(artifact) = fork.artifact.as_ref().filter(|artifact| !artifact.valid) {
            doc.push_errors(&artifact.errors);
        }
        if columns < TEXTS_BESIDE || instead.beside.is_empty() {
            return doc.lines.extend(instead.diff.lines.iter().cloned());
        }
        let width = (columns - 3) / 2;
        doc.push(
            LineKind::Note,
            &format!("{:<width$}   fork {}", "this one", instead.place),
        );
        instead.beside.push_to(doc, columns);
    }

    /// The facts shown for a candidate, each with its label.
    fn facts(&self, place: usize, one: &ForkCandidate) -> [(&'static str, String); FACTS] {
        let name = match place {
            0 => "this one".to_owned(),
            _ if is_used(&self.candidates, one) => format!("fork {place}: taken"),
            _ => format!("fork {place}"),
        };
        let verdict = match &one.artifact {
            None => format!("none yet ({})", one.state),
            Some(artifact) if artifact.valid => {
                format!("valid {} v{}", artifact.sha256.short(), artifact.version)
            }
            Some(artifact) if artifact.errors.len() == 1 => format!("1 error, {}", artifact.schema),
            Some(artifact) => format!("{} errors, {}", artifact.errors.len(), artifact.schema),
        };
        [
            ("", name),
            ("run", one.run_id.short()),
            (
                "by",
                one.persona
                    .clone()
                    .unwrap_or_else(|| "nobody yet".to_owned()),
            ),
            ("verdict", verdict),
            ("differs", self.describe_difference(place)),
            ("cost", one.cost.to_string()),
            ("time", human_duration(one.working_ms)),
        ]
    }

    /// Describes how much a candidate differs from the one at the gate.
    fn describe_difference(&self, place: usize) -> String {
        let found = self.instead.iter().find(|instead| instead.place == place);
        match found.and_then(|instead| instead.diff.lines.first().map(|first| (instead, first))) {
            None => String::new(),
            Some((instead, _)) if instead.diff.is_empty_diff() => "says the same".to_owned(),
            Some((_, first)) if first.ink == LineKind::Note && !first.text.starts_with("@@") => {
                first.text.clone()
            }
            Some((instead, _)) => {
                let count = |ink: LineKind| {
                    instead
                        .diff
                        .lines
                        .iter()
                        .filter(|line| line.ink == ink)
                        .count()
                };
                format!(
                    "+{} -{} lines",
                    count(LineKind::Added),
                    count(LineKind::Removed)
                )
            }
        }
    }
}

fn push_columns(doc: &mut TextDocument, all: &[[(&'static str, String); FACTS]], width: usize) {
    for row in 0..FACTS {
        let label = all.first().map_or("", |facts| facts[row].0);
        let cells: String = all.iter().map(|facts| cell(&facts[row].1, width)).collect();
        doc.push(
            if row == 0 {
                LineKind::Heading
            } else {
                LineKind::Plain
            },
            format!("{label:<9}{cells}").trim_end(),
        );
    }
}

fn cell(text: &str, width: usize) -> String {
    let text = crate::model::safe_text::safe_line(text);
    let cut: String = if text.chars().count() < width {
        text
    } else {
        text.chars().take(width - 2).chain(['…']).collect()
    };
    format!("{cut:<width$}")
}

fn push_stacked(doc: &mut TextDocument, all: &[[(&'static str, String); FACTS]]) {
    for facts in all {
        doc.push(LineKind::Heading, &facts[0].1);
        for (label, text) in facts[1..].iter().filter(|(_, text)| !text.is_empty()) {
            doc.push(LineKind::Plain, &format!("  {label:<9}{text}"));
        }
    }
}

/// Forks whose artifact can be taken: valid, and other than what is asked about.
pub fn valid(candidates: &[ForkCandidate]) -> impl Iterator<Item = (usize, &ForkCandidate)> {
    let fits = |fork: &ForkCandidate| {
        fork.artifact
            .as_ref()
            .is_some_and(|artifact| artifact.valid)
            && !is_used(candidates, fork)
    };
    candidates
        .iter()
        .enumerate()
        .skip(1)
        .filter(move |(_, fork)| fits(fork))
}

/// Whether what is asked about is what a fork made.
fn is_used(candidates: &[ForkCandidate], fork: &ForkCandidate) -> bool {
    let hash = |one: &ForkCandidate| {
        one.artifact
            .as_ref()
            .map(|artifact| artifact.sha256.clone())
    };
    candidates
        .first()
        .and_then(hash)
        .is_some_and(|own| hash(fork) == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::test_support;

    fn compared(contents: [Option<&str>; 2]) -> ForkComparison {
        let contents = contents.map(|content| content.map(|text| text.as_bytes().to_vec()));
        ForkComparison::new(
            test_support::candidates()
                .into_iter()
                .zip(contents)
                .collect(),
        )
    }

    fn lines(compared: &ForkComparison, columns: u16) -> Vec<String> {
        compared
            .document(columns)
            .lines
            .into_iter()
            .map(|line| line.text)
            .collect()
    }

    #[test]
    fn facts_stand_side_by_side_where_there_is_room_and_else_one_beneath_the_other() {
        let none = compared([None, None]);
        assert_eq!(
            lines(&none, 78)[0],
            "         this one                         fork 1"
        );
        assert_eq!(lines(&none, 40)[0], "this one");
        assert_eq!(lines(&none, 40)[6], "fork 1");
    }

    #[test]
    fn the_texts_stand_side_by_side_where_they_have_room_and_else_only_what_differs_is_told() {
        let two = compared([Some(r#"{"a":1,"b":"x"}"#), Some(r#"{"a":2,"b":"x"}"#)]);
        let wide = lines(&two, 100);
        assert!(
            wide[4].starts_with("differs") && wide[4].ends_with("1 changed"),
            "{wide:?}"
        );
        let at = wide
            .iter()
            .position(|line| line.starts_with("What fork 1"))
            .unwrap();
        let columns = |left: &str, sign: char, right: &str| format!("{left:<48} {sign} {right}");
        assert_eq!(
            wide[at + 1..],
            [
                columns("this one", ' ', "fork 1"),
                columns("{", ' ', "{"),
                columns("  \"a\": 1,", '|', "  \"a\": 2,"),
                columns("  \"b\": \"x\"", ' ', "  \"b\": \"x\""),
                columns("}", ' ', "}"),
            ]
        );
        let narrow = lines(&two, 80);
        let at = narrow
            .iter()
            .position(|line| line.starts_with("What fork 1"))
            .unwrap();
        assert_eq!(
            narrow[at + 1..],
            ["1 changed", "", "/a  changed", "- 1", "+ 2"]
        );
    }

    #[test]
    fn a_fork_that_says_the_same_or_does_not_fit_says_so() {
        let mut same = compared([Some("{}"), Some("{ }")]);
        assert!(lines(&same, 100)[4].ends_with("says the same"));
        let artifact = same.candidates[1].artifact.as_mut().unwrap();
        artifact.valid = false;
        artifact.errors = vec![crate::model::event::ArtifactError {
            pointer: "/a".to_owned(),
            message: "is missing".to_owned(),
        }];
        let told = lines(&same, 100);
        assert!(told[3].ends_with("1 error, dev/spec@1"));
        assert!(
            told.windows(2).any(|pair| pair == ["/a", "  is missing"]),
            "{told:?}"
        );
    }

    #[test]
    fn only_a_valid_artifact_of_a_fork_can_be_taken() {
        let mut all = test_support::candidates();
        assert_eq!(valid(&all).map(|(place, _)| place).collect::<Vec<_>>(), [1]);
        all[1].artifact.as_mut().unwrap().valid = false;
        assert_eq!(valid(&all).count(), 0);
    }

    #[test]
    fn what_was_taken_is_not_offered_again_and_says_so() {
        let mut all = test_support::candidates();
        all[0].artifact = all[1].artifact.clone();
        assert_eq!(valid(&all).count(), 0);
        let taken = ForkComparison::new(
            all.into_iter()
                .map(|one| (one, Some(b"{}".to_vec())))
                .collect(),
        );
        let told = lines(&taken, 78);
        assert_eq!(
            told[0],
            "         this one                         fork 1: taken"
        );
        assert!(
            told.iter().all(|line| !line.starts_with("What fork")),
            "{told:?}"
        );
    }
}
