//! Tool calls put together from their pieces.
//!
//! Servers differ in nothing as much as in this: pieces come with an index, with an id, with both or
//! with neither. Whatever they say, each call gets an id of our own, and that id is what the history
//! carries from then on.

use std::collections::BTreeSet;

use serde_json::Value;

use super::assemble::AssembledCall;
use super::chat::CallPiece;

/// The calls of one answer, of which pieces may still come.
#[derive(Default)]
pub(super) struct ToolCallAssembler {
    calls: Vec<PendingCall>,
}

#[derive(Default)]
struct PendingCall {
    index: Option<u64>,
    provider_id: String,
    name: String,
    arguments: String,
    /// Whether its name came in pieces.
    pieced: bool,
}

impl PendingCall {
    fn is_whole(&self) -> bool {
        !self.name.is_empty() || !self.arguments.is_empty()
    }
}

impl ToolCallAssembler {
    /// Takes a piece.
    pub(super) fn add(&mut self, piece: CallPiece) {
        let id = piece.id.unwrap_or_default();
        let function = piece.function.unwrap_or_default();
        let name = function.name.unwrap_or_default();
        let at = self.place_of(piece.index, &id, &name);
        let call = match at {
            Some(at) => &mut self.calls[at],
            None => {
                self.calls.push(PendingCall {
                    index: piece.index,
                    ..PendingCall::default()
                });
                let last = self.calls.len() - 1;
                &mut self.calls[last]
            }
        };
        if call.provider_id.is_empty() {
            call.provider_id = id;
        }
        // A name comes whole, in pieces, or whole again with every piece.
        if call.name != name {
            call.pieced |= !call.name.is_empty() && !name.is_empty();
            call.name.push_str(&name);
        }
        match function.arguments {
            Some(Value::String(text)) => call.arguments.push_str(&text),
            Some(other) if !other.is_null() => call.arguments.push_str(&other.to_string()),
            _ => {}
        }
    }

    /// The call that a piece belongs to; absent when it begins a new one.
    fn place_of(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        // A call with arguments that is named otherwise is another one, whatever its index and id say.
        let renamed = |call: &PendingCall| {
            !name.is_empty() && call.name != name && !call.arguments.is_empty()
        };
        if let Some(index) = index {
            let at = self
                .calls
                .iter()
                .rposition(|call| call.index == Some(index))?;
            let call = &self.calls[at];
            // One index for several calls: another id tells them apart, but only together with a name.
            let another = !id.is_empty()
                && !call.provider_id.is_empty()
                && call.provider_id != id
                && !name.is_empty();
            return (!another && !renamed(call)).then_some(at);
        }
        if !id.is_empty() {
            let at = self.calls.iter().rposition(|call| call.provider_id == id)?;
            return (!renamed(&self.calls[at])).then_some(at);
        }
        let last = self.calls.len().checked_sub(1)?;
        let begins_anew = !name.is_empty() && !self.calls[last].arguments.is_empty();
        (!begins_anew).then_some(last)
    }

    /// What a well-made answer would not have had, in words: calls are told apart all the same, and get ids
    /// of our own.
    pub(super) fn oddities(&self) -> Option<String> {
        let whole: Vec<&PendingCall> = self.calls.iter().filter(|call| call.is_whole()).collect();
        let ids: BTreeSet<&str> = whole
            .iter()
            .map(|call| call.provider_id.as_str())
            .filter(|id| !id.is_empty())
            .collect();
        let nameless = whole
            .iter()
            .filter(|call| call.provider_id.is_empty())
            .count();
        let indices: BTreeSet<u64> = whole.iter().filter_map(|call| call.index).collect();
        let indexed = whole.iter().filter(|call| call.index.is_some()).count();
        let gap = indices
            .iter()
            .zip(0..)
            .any(|(index, place)| *index != place);
        let odd = [
            (nameless > 0, "calls came without an id"),
            (ids.len() + nameless < whole.len(), "calls shared an id"),
            (indices.len() < indexed, "calls shared an index"),
            (gap, "the indices of the calls had gaps"),
            (
                whole.iter().any(|call| call.pieced),
                "the name of a tool came in pieces",
            ),
        ];
        let odd: Vec<&str> = odd
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, words)| words)
            .collect();
        (!odd.is_empty()).then(|| format!("{}; the answer was put right", odd.join(", ")))
    }

    /// The calls in order, each with our own id and the provider's before it.
    pub(super) fn ended(self, turn: u32) -> impl Iterator<Item = (String, AssembledCall)> {
        let whole = self.calls.into_iter().filter(PendingCall::is_whole);
        whole.enumerate().map(move |(index, call)| {
            let id = format!("call_{turn}_{}", index + 1);
            (
                call.provider_id,
                AssembledCall {
                    id,
                    name: call.name,
                    arguments: call.arguments,
                },
            )
        })
    }
}
