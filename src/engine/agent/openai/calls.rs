//! Tool calls put together from their pieces.
//!
//! Servers differ in nothing as much as in this: pieces come with an index, with an id, with both or
//! with neither. Whatever they say, each call gets an id of our own, and that id is what the history
//! carries from then on.

use serde_json::Value;

use super::assemble::Call;
use super::chat::CallPiece;

/// The calls of one answer, of which pieces may still come.
#[derive(Default)]
pub(super) struct Calls {
    calls: Vec<Pending>,
}

#[derive(Default)]
struct Pending {
    index: Option<u64>,
    provider_id: String,
    name: String,
    arguments: String,
}

impl Calls {
    /// Takes a piece.
    pub(super) fn add(&mut self, piece: CallPiece) {
        let id = piece.id.unwrap_or_default();
        let function = piece.function.unwrap_or_default();
        let name = function.name.unwrap_or_default();
        let at = self.place_of(piece.index, &id, &name);
        let call = match at {
            Some(at) => &mut self.calls[at],
            None => {
                self.calls.push(Pending { index: piece.index, ..Pending::default() });
                let last = self.calls.len() - 1;
                &mut self.calls[last]
            }
        };
        if call.provider_id.is_empty() {
            call.provider_id = id;
        }
        // A name comes whole, in pieces, or whole again with every piece.
        if call.name != name {
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
        let renamed = |call: &Pending| !name.is_empty() && call.name != name && !call.arguments.is_empty();
        if let Some(index) = index {
            let at = self.calls.iter().rposition(|call| call.index == Some(index))?;
            let call = &self.calls[at];
            // One index for several calls: another id tells them apart, but only together with a name.
            let another = !id.is_empty() && !call.provider_id.is_empty() && call.provider_id != id && !name.is_empty();
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

    /// The calls in order, each with our own id and the provider's before it.
    pub(super) fn ended(self, turn: u32) -> impl Iterator<Item = (String, Call)> {
        let whole = self.calls.into_iter().filter(|call| !call.name.is_empty() || !call.arguments.is_empty());
        whole.enumerate().map(move |(index, call)| {
            let id = format!("call_{turn}_{}", index + 1);
            (call.provider_id, Call { id, name: call.name, arguments: call.arguments })
        })
    }
}
