//! What keys must not be: two things in one place, in the way of an action that has no other, or a way to move
//! and to decide.
//!
//! All of it at once, for whoever chose them; what keys there are is the table's.

use std::collections::BTreeMap;

use super::{Action, KeyBinding, KeyChord, KeyContext, Keymap, TABLE, is_movement, outer, problem};
use crate::model::error::Failure;

impl Keymap {
    pub(super) fn conflicts(&self) -> Vec<Failure> {
        let mut taken: BTreeMap<(KeyContext, KeyChord), &'static str> = BTreeMap::new();
        let mut found = Vec::new();
        for entry in TABLE {
            for chord in self.chords_of(entry.action) {
                if let Some(other) = taken
                    .insert((entry.context, *chord), entry.name)
                    .filter(|other| *other != entry.name)
                {
                    found.push(conflict(*chord, other, entry.name));
                }
            }
        }
        found.extend(TABLE.iter().flat_map(|entry| self.hidden_by(entry)));
        found.extend(
            TABLE
                .iter()
                .filter(|entry| does_something(entry.action))
                .flat_map(|entry| self.moves_elsewhere(entry)),
        );
        found
    }

    /// Keys of an action that does something by which one moves elsewhere: a held key would do it.
    fn moves_elsewhere<'a>(&'a self, entry: &'a KeyBinding) -> impl Iterator<Item = Failure> + 'a {
        let moves = move |chord: &&KeyChord| {
            TABLE.iter().find(|other| {
                is_movement(other.action)
                    && other.context != entry.context
                    && self.chords_of(other.action).contains(chord)
            })
        };
        self.chords_of(entry.action).iter().filter_map(move |chord| {
            let moves = moves(&chord)?;
            let told = problem(format!(
                "keys: {chord} for '{}' is also the key for '{}', and a key that moves never does harm",
                entry.name, moves.name
            ));
            Some(told.hint(format!("give '{}' another key", entry.name)))
        })
    }

    /// Actions of the outer contexts that cannot be reached any more where `inner` is, because keys that
    /// the operator chose took all of theirs.
    fn hidden_by<'a>(&'a self, inner: &'a KeyBinding) -> impl Iterator<Item = Failure> + 'a {
        let taken = move |chord: &KeyChord| {
            TABLE.iter().any(|other| {
                other.context == inner.context && self.chords_of(other.action).contains(chord)
            })
        };
        let beyond = move |entry: &&KeyBinding| outer(inner.context).contains(&entry.context);
        TABLE.iter().filter(beyond).filter_map(move |entry| {
            let chords = self.chords_of(entry.action);
            let stolen = *chords
                .iter()
                .find(|chord| self.chords_of(inner.action).contains(chord))?;
            let chosen = self.is_remapped(entry) || self.is_remapped(inner);
            (chosen && chords.iter().all(taken)).then(|| hidden(stolen, inner, entry))
        })
    }

    fn is_remapped(&self, entry: &KeyBinding) -> bool {
        let built_in: Vec<KeyChord> = entry
            .chords
            .iter()
            .filter_map(|chord| chord.parse().ok())
            .collect();
        self.chords_of(entry.action) != built_in
    }
}

fn conflict(chord: KeyChord, one: &str, other: &str) -> Failure {
    problem(format!(
        "keys: {chord} would mean both '{one}' and '{other}'"
    ))
    .hint(format!("give '{one}' or '{other}' another key"))
}

fn hidden(chord: KeyChord, inner: &KeyBinding, lost: &KeyBinding) -> Failure {
    let (one, other, place) = (inner.name, lost.name, inner.context.title());
    problem(format!(
        "keys: {chord} for '{one}' leaves no key for '{other}' in '{place}'"
    ))
    .hint(format!("give '{one}' or '{other}' another key"))
}

/// Whether an action decides, ends, pauses or begins something, asked about or not.
fn does_something(action: Action) -> bool {
    use Action::*;
    matches!(
        action,
        Approve | AllowPhase | AllowRun | GateCheaper | RequestChanges | Reject | Fork | Pick
    ) || matches!(
        action,
        GateAbort
            | Abort
            | ListAbort
            | PickAbort
            | Pause
            | ListPause
            | Resume
            | ListResume
            | GateResume
    ) || matches!(
        action,
        PickRedo | PickDone | PickSkip | Demo | TakeOver | Quit
    )
}
