//! YAML text to a tree in which every key and value knows its line and column.
//!
//! YAML 1.2 core rules: only `true` and `false` are booleans, so `on`, `yes` and `1_000` are text.
//! One document, no tags, no duplicate keys, text keys only; the limits below hold before anything
//! is built, and an alias counts as often as it is used. The first fault of the notation ends the
//! reading, because nothing after it can be trusted; what the tree means is the [`reader`](super::reader)'s work.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, Span};

/// The largest file that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 256 * 1024;
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 50_000;
const MAX_ALIASES: usize = 100;

/// A place in a text: line and column in characters, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourcePosition {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl From<&Marker> for SourcePosition {
    fn from(marker: &Marker) -> Self {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            line: count(marker.line()),
            column: count(marker.col()).saturating_add(1),
        }
    }
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct YamlNode {
    pub(crate) at: SourcePosition,
    pub(crate) data: YamlContent,
    /// This node and all beneath it.
    size: usize,
    /// Levels of lists and maps, this one included.
    depth: usize,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum YamlContent {
    Null,
    /// No field of these files is one, so which of the two is not kept.
    Bool,
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<YamlNode>),
    Map(Vec<YamlMember>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct YamlMember {
    pub(crate) key: String,
    pub(crate) key_at: SourcePosition,
    pub(crate) value: YamlNode,
}

/// Why a text is no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) at: Option<SourcePosition>,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl YamlError {
    pub(crate) fn new(
        at: impl Into<Option<SourcePosition>>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            at: at.into(),
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl YamlNode {
    fn scalar(at: SourcePosition, data: YamlContent) -> Self {
        Self {
            at,
            data,
            size: 1,
            depth: 0,
        }
    }

    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self.data {
            YamlContent::Null => "nothing",
            YamlContent::Bool => "true or false",
            YamlContent::Integer(_) => "a whole number",
            YamlContent::Float(_) => "a decimal number",
            YamlContent::Text(_) => "text",
            YamlContent::List(_) => "a list",
            YamlContent::Map(_) => "a group of fields",
        }
    }
}

/// Reads one document.
///
/// # Errors
/// The first fault of the notation, or the limit that was passed.
pub(crate) fn parse(text: &str) -> Result<YamlNode, YamlError> {
    if text.len() > MAX_BYTES {
        return Err(YamlError::new(
            None,
            format!("is larger than {} KiB", MAX_BYTES / 1024),
            "split it, or move long texts elsewhere",
        ));
    }
    let mut builder = YamlBuilder::default();
    for next in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let (event, span) = next.map_err(|e| {
            YamlError::new(
                SourcePosition::from(e.marker()),
                format!("is not YAML: {}", e.info()),
                "check indentation, quotes and colons here",
            )
        })?;
        builder.take(event, &span)?;
    }
    builder
        .root
        .ok_or_else(|| YamlError::new(None, "is empty", "write at least `name` and `version`"))
}

/// A list or map whose end has not come.
struct OpenContainer {
    node: YamlNode,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<(String, SourcePosition)>,
}

#[derive(Default)]
struct YamlBuilder {
    root: Option<YamlNode>,
    open: Vec<OpenContainer>,
    anchors: HashMap<usize, YamlNode>,
    nodes: usize,
    aliases: usize,
}

impl YamlBuilder {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        let at = SourcePosition::from(&span.start);
        let tag_at = span
            .tag_start()
            .map_or(at, |marker| SourcePosition::from(&marker));
        match event {
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, _, Some(_))
            | Event::MappingStart(_, _, Some(_)) => Err(YamlError::new(
                tag_at,
                "has a YAML tag",
                "remove the word that begins with `!`; the type follows from the field",
            )),
            Event::Scalar(text, style, anchor, None) => {
                self.scalar(text.into_owned(), style, anchor, at)
            }
            Event::SequenceStart(_, anchor, None) => {
                self.begin(YamlContent::List(Vec::new()), anchor, at)
            }
            Event::MappingStart(_, anchor, None) => {
                self.begin(YamlContent::Map(Vec::new()), anchor, at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::DocumentStart(..) if self.root.is_some() => Err(YamlError::new(
                at,
                "holds more than one document",
                "keep one document in a file and remove `---`",
            )),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: String,
        style: ScalarStyle,
        anchor: usize,
        at: SourcePosition,
    ) -> Result<(), YamlError> {
        if let Some(top) = self.open.last_mut()
            && matches!(top.node.data, YamlContent::Map(_))
            && top.key.is_none()
        {
            return top.begin_member(text, at);
        }
        let data = if style == ScalarStyle::Plain {
            plain(text)
        } else {
            YamlContent::Text(text)
        };
        self.count(1, at)?;
        self.put(YamlNode::scalar(at, data), anchor)
    }

    fn begin(
        &mut self,
        data: YamlContent,
        anchor: usize,
        at: SourcePosition,
    ) -> Result<(), YamlError> {
        if self
            .open
            .last()
            .is_some_and(|top| matches!(top.node.data, YamlContent::Map(_)) && top.key.is_none())
        {
            return Err(not_text_key(at));
        }
        self.count(1, at)?;
        self.open.push(OpenContainer {
            node: YamlNode {
                at,
                data,
                size: 1,
                depth: 1,
            },
            anchor,
            key: None,
        });
        if self.open.len() > MAX_DEPTH {
            Err(too_deep(at))
        } else {
            Ok(())
        }
    }

    fn end(&mut self) -> Result<(), YamlError> {
        match self.open.pop() {
            Some(OpenContainer { node, anchor, .. }) => self.put(node, anchor),
            None => Ok(()),
        }
    }

    fn alias(&mut self, anchor: usize, at: SourcePosition) -> Result<(), YamlError> {
        if self
            .open
            .last()
            .is_some_and(|top| matches!(top.node.data, YamlContent::Map(_)) && top.key.is_none())
        {
            return Err(not_text_key(at));
        }
        self.aliases += 1;
        if self.aliases > MAX_ALIASES {
            return Err(YamlError::new(
                at,
                format!("uses more than {MAX_ALIASES} aliases"),
                "write the repeated parts out",
            ));
        }
        let Some(target) = self.anchors.get(&anchor) else {
            return Err(YamlError::new(
                at,
                "uses an alias inside of what it names",
                "write the repeated part out",
            ));
        };
        let (size, depth) = (target.size, target.depth);
        self.count(size, at)?;
        if self.open.len() + depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        let copy = self
            .anchors
            .get(&anchor)
            .cloned()
            .map(|node| YamlNode { at, ..node });
        copy.map_or(Ok(()), |node| self.put(node, 0))
    }

    fn put(&mut self, node: YamlNode, anchor: usize) -> Result<(), YamlError> {
        if anchor != 0 {
            self.count(node.size, node.at)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(top) => top.add(node),
            None => self.root = Some(node),
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, at: SourcePosition) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(YamlError::new(
            at,
            format!("has more than {MAX_NODES} values, aliases counted as often as they are used"),
            "make the file smaller",
        ))
    }
}

impl OpenContainer {
    fn begin_member(&mut self, key: String, at: SourcePosition) -> Result<(), YamlError> {
        if let YamlContent::Map(members) = &self.node.data
            && let Some(first) = members.iter().find(|member| member.key == key)
        {
            let (line, column) = (first.key_at.line, first.key_at.column);
            return Err(YamlError::new(
                at,
                format!("has '{key}' twice; the first is at {line}:{column}"),
                "keep one of the two",
            ));
        }
        self.key = Some((key, at));
        Ok(())
    }

    fn add(&mut self, value: YamlNode) {
        self.node.size = self.node.size.saturating_add(value.size);
        self.node.depth = self.node.depth.max(value.depth + 1);
        match &mut self.node.data {
            YamlContent::List(items) => items.push(value),
            YamlContent::Map(members) => {
                if let Some((key, key_at)) = self.key.take() {
                    members.push(YamlMember { key, key_at, value });
                }
            }
            _ => {}
        }
    }
}

fn not_text_key(at: SourcePosition) -> YamlError {
    YamlError::new(
        at,
        "has a key that is not plain text",
        "write the key as a word followed by a colon",
    )
}

fn too_deep(at: SourcePosition) -> YamlError {
    YamlError::new(
        at,
        format!("is nested more than {MAX_DEPTH} levels deep"),
        "make it flatter",
    )
}

/// What a word without quotes means by the YAML 1.2 core rules, decimal numbers only.
fn plain(text: String) -> YamlContent {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => YamlContent::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => YamlContent::Bool,
        word if word.parse::<i64>().is_ok() => {
            word.parse().map_or(YamlContent::Null, YamlContent::Integer)
        }
        word if looks_decimal(word) => word.parse().map_or(YamlContent::Null, YamlContent::Float),
        _ => YamlContent::Text(text),
    }
}

fn looks_decimal(word: &str) -> bool {
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    word.contains(|c: char| c.is_ascii_digit())
        && word.chars().all(allowed)
        && word.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        let broken = parse(text).unwrap_err();
        match broken.at {
            Some(at) => format!("{}:{} {}", at.line, at.column, broken.message),
            None => broken.message,
        }
    }

    fn first_value(text: &str) -> YamlContent {
        let YamlContent::Map(members) = parse(text).unwrap().data else {
            panic!("not a map")
        };
        members.into_iter().next().unwrap().value.data
    }

    #[test]
    fn words_of_yaml_1_1_stay_text_and_core_words_do_not() {
        for word in [
            "on",
            "off",
            "yes",
            "no",
            "1_000",
            "0x10",
            "12:30",
            "1e999",
            "2026-01-01",
            "'true'",
            "\"5\"",
        ] {
            assert!(
                matches!(first_value(&format!("a: {word}")), YamlContent::Text(_)),
                "{word}"
            );
        }
        assert!(matches!(first_value("a: true"), YamlContent::Bool));
        assert!(matches!(first_value("a: -5"), YamlContent::Integer(-5)));
        assert!(matches!(first_value("a: 0.5"), YamlContent::Float(f) if f == 0.5));
        assert!(matches!(first_value("a:"), YamlContent::Null));
    }

    #[test]
    fn every_fault_of_the_notation_has_its_place_and_words() {
        let deep = format!("a: {}{}", "[".repeat(64), "]".repeat(64));
        for (text, expected) in [
            (
                "a: 1\nb: 2\na: 3\n",
                "3:1 has 'a' twice; the first is at 1:1",
            ),
            ("a: 1\n---\na: 2\n", "2:1 holds more than one document"),
            ("a: !!str 5\n", "1:4 has a YAML tag"),
            ("? [a]\n: 1\n", "1:3 has a key that is not plain text"),
            (
                "a: &x\n  b: *x\n",
                "2:6 uses an alias inside of what it names",
            ),
            (deep.as_str(), "1:67 is nested more than 64 levels deep"),
            ("a: [1\n", "1:4 is not YAML: unclosed bracket '['"),
            (
                "a:\n\tb: 1\n",
                "2:2 is not YAML: tabs disallowed within this context (block indentation)",
            ),
            (
                "a: *x\n",
                "1:4 is not YAML: while parsing node, found unknown anchor",
            ),
            ("", "is empty"),
            ("# only a comment\n", "is empty"),
        ] {
            assert_eq!(why(text), expected, "{text}");
        }
    }

    #[test]
    fn limits_hold_exactly_and_a_bomb_is_cheap() {
        let list = |n: usize| format!("[{}]", vec!["1"; n].join(","));
        assert!(parse(&list(MAX_NODES - 1)).is_ok());
        assert!(why(&list(MAX_NODES)).contains("more than 50000 values"));
        let aliases = |n: usize| format!("a: &x 1\nb: [{}]", vec!["*x"; n].join(","));
        assert!(parse(&aliases(MAX_ALIASES)).is_ok());
        assert!(why(&aliases(MAX_ALIASES + 1)).ends_with("uses more than 100 aliases"));
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        let mut bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1]\n".to_owned();
        for level in 1..9 {
            let uses = vec![format!("*a{}", level - 1); 9].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{uses}]\n"));
        }
        assert!(why(&bomb).contains("more than 50000 values"));
        assert_eq!(why(&" ".repeat(MAX_BYTES + 1)), "is larger than 256 KiB");
    }

    #[test]
    fn a_byte_order_mark_is_skipped_and_places_count_characters() {
        let root = parse("\u{feff}a: äö\nb:   [x]\n").unwrap();
        let YamlContent::Map(members) = root.data else {
            panic!("not a map")
        };
        assert_eq!(members[0].key_at, SourcePosition { line: 1, column: 1 });
        assert_eq!(members[1].value.at, SourcePosition { line: 2, column: 6 });
    }
}
