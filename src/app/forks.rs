//! The artifact at a gate and those of its forks, compared: who made each, the verdict, the cost, the
//! time, and what differs.

use super::document::{Document, Ink};
use crate::engine::api::Candidate;
use crate::model::id::{RoleId, RunId};
use crate::model::money::Cost;
use crate::model::time::human_duration;

/// So many stand side by side; more are told one beneath the other.
const BESIDE: usize = 3;
/// Cells of a column.
const COLUMN: usize = 22;

/// A fork that is asked about: who could make the phase again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkAsk {
    /// The run at the gate.
    pub run_id: RunId,
    /// The seat that is taken by somebody else.
    pub role: RoleId,
    /// Who sits there now.
    pub current: String,
    /// Who could, `name@version`.
    pub personas: Vec<String>,
}

/// What is compared: the candidates with their contents, where those are stored.
#[must_use]
pub fn document(candidates: &[(Candidate, Option<Vec<u8>>)], columns: u16) -> Document {
    let mut doc = Document::default();
    let alone: Vec<Candidate> = candidates.iter().map(|(one, _)| one.clone()).collect();
    let all: Vec<[(&str, String); 6]> =
        candidates.iter().enumerate().map(|(place, (one, _))| facts(place, one, place > 0 && is_taken(&alone, one))).collect();
    let fits = all.len() <= BESIDE && 9 + all.len() * COLUMN <= usize::from(columns);
    if fits {
        beside(&mut doc, &all)
    } else {
        stacked(&mut doc, &all)
    }
    let Some((_, Some(own))) = candidates.first() else { return doc };
    for (place, (fork, content)) in candidates.iter().enumerate().skip(1) {
        let Some(content) = content.as_ref().filter(|content| *content != own) else { continue };
        doc.push(Ink::Plain, "");
        doc.push(Ink::Heading, &format!("What fork {place} ({}) has instead", fork.run_id.short()));
        doc.lines.extend(Document::of_diff(own, content).lines);
    }
    doc
}

/// What is told of a candidate, each with its label.
fn facts(place: usize, one: &Candidate, taken: bool) -> [(&'static str, String); 6] {
    let name = match place {
        0 => "this one".to_owned(),
        _ if taken => format!("fork {place}: taken"),
        _ => format!("fork {place}"),
    };
    let verdict = match &one.artifact {
        None => format!("none yet ({})", one.state),
        Some(artifact) if artifact.valid => format!("valid {} v{}", artifact.sha256.short(), artifact.version),
        Some(artifact) => format!("{} errors", artifact.errors.len()),
    };
    [
        ("", name),
        ("run", one.run_id.short()),
        ("by", one.persona.clone().unwrap_or_else(|| "nobody yet".to_owned())),
        ("verdict", verdict),
        ("cost", told_cost(one.cost)),
        ("time", human_duration(one.working_ms)),
    ]
}

fn told_cost(cost: Cost) -> String {
    cost.to_string()
}

fn beside(doc: &mut Document, all: &[[(&str, String); 6]]) {
    for row in 0..6 {
        let label = all.first().map_or("", |facts| facts[row].0);
        let cells: String = all.iter().map(|facts| cell(&facts[row].1)).collect();
        doc.push(if row == 0 { Ink::Heading } else { Ink::Plain }, format!("{label:<9}{cells}").trim_end());
    }
}

fn cell(text: &str) -> String {
    let text = crate::model::safe_text::safe_line(text);
    let cut: String = if text.chars().count() < COLUMN { text } else { text.chars().take(COLUMN - 2).chain(['…']).collect() };
    format!("{cut:<COLUMN$}")
}

fn stacked(doc: &mut Document, all: &[[(&str, String); 6]]) {
    for facts in all {
        doc.push(Ink::Heading, &facts[0].1);
        for (label, text) in &facts[1..] {
            doc.push(Ink::Plain, &format!("  {label:<9}{text}"));
        }
    }
}

/// Forks whose artifact can be taken: valid, and other than what is asked about.
pub fn valid(candidates: &[Candidate]) -> impl Iterator<Item = (usize, &Candidate)> {
    let fits = |fork: &Candidate| fork.artifact.as_ref().is_some_and(|artifact| artifact.valid) && !is_taken(candidates, fork);
    candidates.iter().enumerate().skip(1).filter(move |(_, fork)| fits(fork))
}

/// Whether what is asked about is what a fork made.
fn is_taken(candidates: &[Candidate], fork: &Candidate) -> bool {
    let hash = |one: &Candidate| one.artifact.as_ref().map(|artifact| artifact.sha256.clone());
    candidates.first().and_then(hash).is_some_and(|own| hash(fork) == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::sample;

    #[test]
    fn two_stand_side_by_side_where_there_is_room_and_else_one_beneath_the_other() {
        let all: Vec<_> = sample::candidates().into_iter().map(|one| (one, None)).collect();
        let lines = |columns| document(&all, columns).lines.into_iter().map(|line| line.text.to_string()).collect::<Vec<_>>();
        assert_eq!(lines(78)[0], "         this one              fork 1");
        assert_eq!(lines(40)[0], "this one");
        assert_eq!(lines(40)[6], "fork 1");
    }

    #[test]
    fn only_a_valid_artifact_of_a_fork_can_be_taken() {
        let mut all = sample::candidates();
        assert_eq!(valid(&all).map(|(place, _)| place).collect::<Vec<_>>(), [1]);
        all[1].artifact.as_mut().unwrap().valid = false;
        assert_eq!(valid(&all).count(), 0);
    }

    #[test]
    fn what_was_taken_is_not_offered_again_and_says_so() {
        let mut all = sample::candidates();
        all[0].artifact = all[1].artifact.clone();
        assert_eq!(valid(&all).count(), 0);
        let both: Vec<_> = all.into_iter().map(|one| (one, None)).collect();
        assert_eq!(document(&both, 78).lines[0].text.to_string(), "         this one              fork 1: taken");
    }
}
