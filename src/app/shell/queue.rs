//! Which of what waits is taken first: keys do not wait behind news.
//!
//! News keeps its order, and so does everything else; what the operator does, and what came before it and is
//! no news, goes first. A key means what is on the screen, and the news behind it is not there yet.

use std::collections::VecDeque;

use super::pump::Event;
use crate::app::msg::Msg;

/// Whether the operator did it.
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
