//! Event filter: the text typed after `&` or `/`, parsed once and matched against events.
//!
//! A typed text is a row of conditions that must all hold: `type:phase.` (the beginning of a type;
//! several by commas), `phase:spec`, and words that occur anywhere in the event, in any case. The
//! words of an event are its type and every text in it but the ids of calls and turns. An index may
//! narrow the search by [`Condition`]s; what fits is decided here alone.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::event::{Event, Fact};

/// Keys that are not searched: ids without meaning for people, present in most agent events.
const NOT_WORDS: &[&str] = &["turn_id", "call_id"];

/// A condition of an event filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// This occurs in its words; lower case.
    Word(String),
    /// Its type begins with one of these.
    Kinds(Vec<String>),
    /// It is about this phase.
    Phase(String),
}

/// An event filter. The default matches all events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    conditions: Vec<Condition>,
}

impl Wanted {
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
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The words that must occur, in lower case.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.conditions
            .iter()
            .filter_map(|condition| match condition {
                Condition::Word(word) => Some(word.as_str()),
                _ => None,
            })
    }

    /// Returns whether the filter matches an event.
    #[must_use]
    pub fn fits(&self, event: &Event) -> bool {
        if self.is_all() {
            return true;
        }
        let phase = event.fact.phase_key().map(|key| key.as_str());
        let text = if self.words().next().is_some() {
            words_of_fact(&event.fact)
        } else {
            String::new()
        };
        self.fits_words(event.fact.kind(), phase, &text)
    }

    /// Whether an event of this type, phase and words (in lower case) is wanted.
    #[must_use]
    pub fn fits_words(&self, kind: &str, phase: Option<&str>, words: &str) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::Word(word) => words.contains(word),
            Condition::Kinds(starts) => starts.iter().any(|start| kind.starts_with(start)),
            Condition::Phase(key) => phase == Some(key),
        })
    }
}

fn condition(word: &str) -> Option<Condition> {
    let word = word.to_lowercase();
    if let Some(kinds) = word.strip_prefix("type:") {
        let starts: Vec<String> = kinds
            .split(',')
            .filter(|start| !start.is_empty())
            .map(str::to_owned)
            .collect();
        return (!starts.is_empty()).then_some(Condition::Kinds(starts));
    }
    match word.strip_prefix("phase:") {
        Some("") => None,
        Some(key) => Some(Condition::Phase(key.to_owned())),
        None => Some(Condition::Word(word)),
    }
}

/// The words of a stored event, in lower case: its type and the texts of its payload, a line each.
/// Of a payload that cannot be read, those before the place where it is broken.
#[must_use]
pub fn words(kind: &str, payload: &str) -> String {
    let mut text = String::with_capacity(payload.len());
    text.push_str(kind);
    let mut reader = serde_json::Deserializer::from_str(payload);
    let _broken = Texts(&mut text).deserialize(&mut reader);
    text.to_lowercase()
}

fn words_of_fact(fact: &Fact) -> String {
    // A fact is plain data; it can always be written.
    let json = serde_json::to_string(fact).unwrap_or_default();
    words(fact.kind(), &json)
}

/// Adds every text of a value to a line of its own.
struct Texts<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
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
        while seq.next_element_seed(Texts(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if NOT_WORDS.contains(&key.as_ref()) {
                map.next_value::<serde::de::IgnoredAny>()?;
            } else {
                map.next_value_seed(Texts(self.0))?;
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

    fn event() -> Event {
        Event {
            run_id: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
            seq: 7,
            at: Timestamp(0),
            fact: Fact::ToolCalled {
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
            assert_eq!(Wanted::parse(typed).fits(&event()), fits, "{typed}");
        }
        assert!(
            !Wanted::parse("tool")
                .and(&Wanted::parse("phase:spec"))
                .fits(&event())
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
            words_of_fact(&event().fact).contains(stored.strip_prefix("tool.called\n").unwrap())
        );
    }
}
