//! Input priority: keys overtake queued signals.
//!
//! All other messages keep their order. Input, and any non-signal message queued before it, goes
//! first: a key refers to what is on the screen, which does not yet include the queued signals.

use std::collections::VecDeque;

use super::pump::Event;
use crate::app::msg::Msg;

/// Whether the event is operator input.
#[must_use]
pub fn is_input(event: &Event) -> bool {
    matches!(
        event,
        Event::Msg(Msg::Key(_) | Msg::Paste(_) | Msg::Mouse(_))
    )
}

/// While the operator's input waits: the first of what waits that is no news. `None`: nobody has to be quick.
pub fn before_news(waiting: &mut VecDeque<Event>) -> Option<Event> {
    if !waiting.iter().any(is_input) {
        return None;
    }
    let first = waiting
        .iter()
        .position(|event| !matches!(event, Event::News(_)))?;
    waiting.remove(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::key::Chord;

    fn key(c: char) -> Event {
        Event::Msg(Msg::Key(Chord::char(c)))
    }

    fn names(events: impl IntoIterator<Item = Event>) -> String {
        let name = |event| match event {
            Event::Msg(Msg::Key(chord)) => chord.to_string(),
            Event::News(_) => "-".to_owned(),
            _ => "r".to_owned(),
        };
        events.into_iter().map(name).collect()
    }

    #[test]
    fn keys_overtake_news_and_nothing_else_and_without_keys_all_stays_in_order() {
        let news = || Event::News(Msg::Stale);
        let mut waiting: VecDeque<Event> = [
            news(),
            news(),
            Event::Resized,
            news(),
            key('a'),
            news(),
            key('b'),
            Event::Resized,
        ]
        .into();
        let taken: Vec<Event> = std::iter::from_fn(|| before_news(&mut waiting)).collect();
        assert_eq!(names(taken), "rab");
        assert_eq!(names(waiting), "----r");
    }
}
