//! JSON files of the catalog: [read strictly](strict_json), faults with their place.
//!
//! JSON is YAML as well, so the tree of [`yaml`](super::yaml) tells the positions of values that are
//! found wrong later.

use serde_json::Value;

use super::yaml::{self, MAX_BYTES, SourcePosition, YamlContent, YamlError, YamlNode};
use crate::engine::artifact::strict_json;

/// Reads one JSON document.
///
/// # Errors
/// The first fault.
pub(crate) fn parse(text: &str) -> Result<Value, YamlError> {
    if text.len() > MAX_BYTES {
        return Err(YamlError::new(
            None,
            format!("is larger than {} KiB", MAX_BYTES / 1024),
            "split it",
        ));
    }
    strict_json::parse(text).map_err(|error| broken(&error))
}

fn broken(error: &serde_json::Error) -> YamlError {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let at = SourcePosition {
        line: count(error.line()),
        column: count(error.column()).max(1),
    };
    let words = strict_json::words(error);
    match error.classify() {
        serde_json::error::Category::Data => {
            YamlError::new(at, format!("has {words}"), "change it here")
        }
        _ => YamlError::new(
            at,
            format!("is not JSON: {words}"),
            "check commas, quotes and brackets here",
        ),
    }
}

/// The place of the value at a JSON Pointer, as far as the text can tell.
pub(crate) fn position(text: &str, pointer: &str) -> Option<SourcePosition> {
    let root = yaml::parse(text).ok()?;
    let mut node = &root;
    for part in pointer.split('/').skip(1) {
        node = child(node, &part.replace("~1", "/").replace("~0", "~"))?;
    }
    Some(node.at)
}

fn child<'a>(node: &'a YamlNode, part: &str) -> Option<&'a YamlNode> {
    match &node.data {
        YamlContent::List(items) => items.get(part.parse::<usize>().ok()?),
        YamlContent::Map(members) => members
            .iter()
            .find(|member| member.key == part)
            .map(|member| &member.value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_their_place_and_words() {
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        for (text, place, message) in [
            (
                "{\"a\":1,\n \"a\":2}",
                (2, 4),
                "has the key 'a' twice in one object",
            ),
            ("{\"a\":1} x", (1, 9), "is not JSON: trailing characters"),
            ("{\"a\":", (1, 5), "is not JSON: EOF while parsing a value"),
            (deep.as_str(), (1, 66), "has more than 64 levels of nesting"),
        ] {
            let broken = parse(text).unwrap_err();
            assert_eq!(
                (
                    broken.at.map(|at| (at.line, at.column)),
                    broken.message.as_str()
                ),
                (Some(place), message),
                "{text}"
            );
        }
        assert!(parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
    }

    #[test]
    fn a_pointer_leads_to_line_and_column() {
        let text = "{\n  \"a/b\": [1,\n    {\"c\": true}]\n}\n";
        assert_eq!(
            position(text, "/a~1b/1/c"),
            Some(SourcePosition {
                line: 3,
                column: 11
            })
        );
        assert_eq!(
            position(text, ""),
            Some(SourcePosition { line: 1, column: 1 })
        );
        assert_eq!(position(text, "/nowhere"), None);
    }
}
