//! Event filter: the text typed after `&` or `/`, parsed once and matched against events.
//!
//! A typed text is a row of conditions that must all hold: `type:phase.` (the beginning of a type;
//! several by commas), `phase:spec`, and words that occur anywhere in the event, in any case. The
//! words of an event are its type and every text in it but the ids of calls and turns. An index may
//! narrow the search by [`EventCondition`]s; what fits is decided here alone.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::event::{JournalEvent, RunFact};

/// Keys that are not searched: ids without meaning for people, present in most agent events.
const UNSEARCHED_KEYS: &[&str] = &["turn_id", "call_id"];

/// A condition of an event filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventCondition {
    /// This occurs in its words; lower case.
    Word(String),
    /// Its type begins with one of these.
    Kinds(Vec<String>),
    /// It is about this phase.
    Phase(String),
}

/// An event filter. The default matches all events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    conditions: Vec<EventCondition>,
}

impl EventFilter {
    /// Parses the typed text.
    #[must_use]
    pub fn parse(typed: &str) -> Self {
        Self {
            conditions: typed.split_whitespace().filter_map(condition).collect(),
        }
    }

    /// Returns a filter that requires both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            conditions: self
                .conditions
                .iter()
                .chain(&other.conditions)
                .cloned()
                .collect(),
        }
    }

    /// Returns whether the filter matches every event.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Returns the conditions.
    #[must_use]
    pub fn conditions(&self) -> &[EventCondition] {
        &self.conditions
    }

    /// The words that must occur, in lower case.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        self.conditions
            .iter()
            .filter_map(|condition| match condition {
                EventCondition::Word(word) => Some(word.as_str()),
                _ => None,
            })
    }

    /// Returns whether the filter matches an event.
    #[must_use]
    pub fn matches(&self, event: &JournalEvent) -> bool {
        if self.is_all() {
            return true;
        }
        let phase = event.fact.phase_key().map(|key| key.as_str());
        let text = if self.terms().next().is_some() {
            searchable_text_of_fact(&event.fact)
        } else {
            String::new()
        };
        self.matches_text(event.fact.kind(), phase, &text)
    }

    /// Whether an event of this type, phase and words (in lower case) is wanted.
    #[must_use]
    pub fn matches_text(&self, kind: &str, phase: Option<&str>, words: &str) -> bool {
        self.conditions.iter().all(|condition| match condition {
            EventCondition::Word(word) => words.contains(word),
            EventCondition::Kinds(starts) => starts.iter().any(|start| kind.starts_with(start)),
            EventCondition::Phase(key) => phase == Some(key),
        })
    }
}

fn condition(word: &str) -> Option<EventCondition> {
    let word = word.to_lowercase();
    if let Some(kinds) = word.strip_prefix("type:") {
        let starts: Vec<String> = kinds
            .split(',')
            .filter(|start| !start.is_empty())
            .map(str::to_owned)
            .collect();
        return (!starts.is_empty()).then_some(EventCondition::Kinds(starts));
    }
    match word.strip_prefix("phase:") {
        Some("") => None,
        Some(key) => Some(EventCondition::Phase(key.to_owned())),
        None => Some(EventCondition::Word(word)),
    }
}

/// The words of a stored event, in lower case: its type and the texts of its payload, a line each.
/// Of a payload that cannot be read, those before the place where it is broken.
#[must_use]
pub fn words(kind: &str, payload: &str) -> String {
    let mut text = String::with_capacity(payload.len());
    text.push_str(kind);
    let mut reader = serde_json::Deserializer::from_str(payload);
    let _broken = TextCollector(&mut text).deserialize(&mut reader);
    text.to_lowercase()
}

fn searchable_text_of_fact(fact: &RunFact) -> String {
    // A fact is plain data; it can always be written.
    let json = serde_json::to_string(fact).unwrap_or_default();
    words(fact.kind(), &json)
}

/// Adds every text of a value to a line of its own.
struct TextCollector<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for TextCollector<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextCollector<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.push('\n');
        self.0.push_str(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(TextCollector(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if UNSEARCHED_KEYS.contains(&key.as_ref()) {
                map.next_value::<serde::de::IgnoredAny>()?;
            } else {
                map.next_value_seed(TextCollector(self.0))?;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::ToolOutcome;
    use crate::model::time::Timestamp;

    fn event() -> JournalEvent {
        JournalEvent {
            run_id: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
            seq: 7,
            at: Timestamp(0),
            fact: RunFact::ToolCalled {
                phase_key: "plan".into(),
                turn_id: "01930000-0000-7000-8000-00000000cc01".parse().unwrap(),
                call_id: "call-77".to_owned(),
                tool: "read_file".to_owned(),
                target: "src/Großes \"Werk\".rs".to_owned(),
                outcome: ToolOutcome::Error,
                duration_ms: 3,
            },
        }
    }

    #[test]
    fn all_conditions_must_hold_and_case_does_not_matter() {
        for (typed, fits) in [
            ("", true),
            ("READ_file", true),
            ("tool error", true),
            ("großes werk", true),
            ("\"werk\".rs", true),
            ("type:tool.", true),
            ("type:phase.,tool.", true),
            ("type:phase.", false),
            ("type:called", false),
            ("phase:plan read", true),
            ("phase:pla", false),
            ("phase: type: type:,", true),
            ("read write", false),
            ("call-77", false),
            ("00000000cc01", false),
        ] {
            assert_eq!(EventFilter::parse(typed).matches(&event()), fits, "{typed}");
        }
        assert!(
            !EventFilter::parse("tool")
                .and(&EventFilter::parse("phase:spec"))
                .matches(&event())
        );
    }

    #[test]
    fn the_words_of_a_stored_event_are_those_of_its_fact() {
        let json = serde_json::to_value(event()).unwrap();
        let stored = words("tool.called", &json["payload"].to_string());
        assert_eq!(
            stored,
            "tool.called\nplan\nread_file\nsrc/großes \"werk\".rs\nerror"
        );
        assert_eq!(
            words("tool.called", "{\"a\":\"B\",\"c\":"),
            "tool.called\nb"
        );
        assert!(
            searchable_text_of_fact(&event().fact)
                .contains(stored.strip_prefix("tool.called\n").unwrap())
        );
    }
}
