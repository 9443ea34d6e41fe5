//! Input priority: keys overtake queued signals.
//!
//! All other messages keep their order. Input, and any non-signal message queued before it, goes
//! first: a key refers to what is on the screen, which does not yet include the queued signals.

use crate::app::msg::Msg;
use crate::console::event_loop::LoopEvent;
use std::collections::VecDeque;

/// Whether the event is operator input.
#[must_use]
pub fn is_input(event: &LoopEvent) -> bool {
    matches!(
        event,
        LoopEvent::Msg(Msg::Key(_) | Msg::Paste(_) | Msg::Mouse(_))
    )
}

/// While the operator's input waits: the first of what waits that is no news. `None`: nobody has to be quick.
pub fn before_news(waiting: &mut VecDeque<LoopEvent>) -> Option<LoopEvent> {
    if !waiting.iter().any(is_input) {
        return None;
    }
    let first = waiting
        .iter()
        .position(|event| !matches!(event, LoopEvent::News(_)))?;
    waiting.remove(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::keymap::key::KeyChord;

    fn key(c: char) -> LoopEvent {
        LoopEvent::Msg(Msg::Key(KeyChord::char(c)))
    }

    fn names(events: impl IntoIterator<Item = LoopEvent>) -> String {
        let name = |event| match event {
            LoopEvent::Msg(Msg::Key(chord)) => chord.to_string(),
            LoopEvent::News(_) => "-".to_owned(),
            _ => "r".to_owned(),
        };
        events.into_iter().map(name).collect()
    }

    #[test]
    fn keys_overtake_news_and_nothing_else_and_without_keys_all_stays_in_order() {
        let news = || LoopEvent::News(Msg::Stale);
        let mut waiting: VecDeque<LoopEvent> = [
            news(),
            news(),
            LoopEvent::Resized,
            news(),
            key('a'),
            news(),
            key('b'),
            LoopEvent::Resized,
        ]
        .into();
        let taken: Vec<LoopEvent> = std::iter::from_fn(|| before_news(&mut waiting)).collect();
        assert_eq!(names(taken), "rab");
        assert_eq!(names(waiting), "----r");
    }
}
