//! What changed between two JSON documents, by JSON Pointer: added, removed, changed, moved.
//!
//! Items of a list are matched by the name they carry (`id`, `key`, `name`) where all have one, else
//! by their content; what is left over in one place is compared item by item. Order of members and
//! spacing are no change. A document with a name twice in one object has no pointers that mean one
//! thing, so it is compared by lines instead.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

use super::json_tree::{RawJsonNode, child_pointer, unquoted};

/// How long the order of one list is looked into; after that what is left counts as exchanged.
const PATIENCE: Duration = Duration::from_millis(500);
/// Names by which an item of a list says which one it is.
const IDENTITIES: &[&str] = &["\"id\"", "\"key\"", "\"name\""];

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonChange {
    /// Only in the new document.
    Added {
        /// Its place there.
        at: String,
        /// On one line.
        value: String,
    },
    /// Only in the old document.
    Removed {
        /// Its place there.
        at: String,
        /// On one line.
        value: String,
    },
    /// In both, and different.
    Changed {
        /// Its place in the new document.
        at: String,
        /// What it was, on one line.
        old: String,
        /// What it is, on one line.
        new: String,
    },
    /// The same item at another place of its list.
    Moved {
        /// Its place in the old document.
        from: String,
        /// Its place in the new one.
        to: String,
    },
}

impl JsonChange {
    /// The place it is about, in the new document where it is there.
    #[must_use]
    pub fn pointer(&self) -> &str {
        match self {
            Self::Added { at, .. }
            | Self::Removed { at, .. }
            | Self::Changed { at, .. }
            | Self::Moved { to: at, .. } => at,
        }
    }

    /// What happened, in one word.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Added { .. } => "added",
            Self::Removed { .. } => "removed",
            Self::Changed { .. } => "changed",
            Self::Moved { .. } => "moved",
        }
    }
}

/// The changes from one document to another, in the order of the new one; `None` when one of them is
/// no JSON that can be compared this way.
#[must_use]
pub fn changes(old: &str, new: &str) -> Option<Vec<JsonChange>> {
    let (old, new) = (RawJsonNode::parse(old)?, RawJsonNode::parse(new)?);
    if old.has_doubles() || new.has_doubles() {
        return None;
    }
    let mut found = Vec::new();
    compare("", "", &old, &new, &mut found);
    Some(found)
}

/// `was` is the place in the old document, `at` in the new one.
fn compare(
    was: &str,
    at: &str,
    old: &RawJsonNode<'_>,
    new: &RawJsonNode<'_>,
    found: &mut Vec<JsonChange>,
) {
    if old == new {
        return;
    }
    match (old, new) {
        (RawJsonNode::Map(old), RawJsonNode::Map(new)) => members(was, at, old, new, found),
        (RawJsonNode::List(old), RawJsonNode::List(new)) => items(was, at, old, new, found),
        _ => found.push(JsonChange::Changed {
            at: at.to_owned(),
            old: old.compact(),
            new: new.compact(),
        }),
    }
}

fn members(
    was: &str,
    at: &str,
    old: &[(&str, RawJsonNode<'_>)],
    new: &[(&str, RawJsonNode<'_>)],
    found: &mut Vec<JsonChange>,
) {
    let before: HashMap<String, &RawJsonNode<'_>> = old
        .iter()
        .map(|(name, node)| (unquoted(name), node))
        .collect();
    let after: HashMap<String, ()> = new.iter().map(|(name, _)| (unquoted(name), ())).collect();
    for (name, node) in new {
        let name = unquoted(name);
        match before.get(&name) {
            Some(old) => compare(
                &child_pointer(was, &name),
                &child_pointer(at, &name),
                old,
                node,
                found,
            ),
            None => found.push(JsonChange::Added {
                at: child_pointer(at, &name),
                value: node.compact(),
            }),
        }
    }
    for (name, node) in old
        .iter()
        .filter(|(name, _)| !after.contains_key(&unquoted(name)))
    {
        found.push(JsonChange::Removed {
            at: child_pointer(was, &unquoted(name)),
            value: node.compact(),
        });
    }
}

fn items(
    was: &str,
    at: &str,
    old: &[RawJsonNode<'_>],
    new: &[RawJsonNode<'_>],
    found: &mut Vec<JsonChange>,
) {
    let (old_ids, new_ids) = match IDENTITIES
        .iter()
        .find_map(|name| identities(old, name).zip(identities(new, name)))
    {
        Some(ids) => ids,
        None => (
            old.iter().map(hash).collect(),
            new.iter().map(hash).collect(),
        ),
    };
    let mut gone: Vec<usize> = Vec::new();
    let mut come: Vec<usize> = Vec::new();
    // Old and new place of each pair, in the order of the new list.
    let mut pairs: Vec<(usize, usize, bool)> = Vec::new();
    let deadline = Instant::now().checked_add(PATIENCE);
    let mut exchanged: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
    for op in capture_diff_slices_deadline(Algorithm::Myers, &old_ids, &new_ids, deadline) {
        match op {
            DiffOp::Equal {
                old_index,
                new_index,
                len,
            } => pairs.extend((0..len).map(|i| (old_index + i, new_index + i, false))),
            other => exchanged.push((other.old_range().collect(), other.new_range().collect())),
        }
    }
    pair_moved(&mut exchanged, &old_ids, &new_ids, &mut pairs);
    for (olds, news) in exchanged {
        let both = olds.len().min(news.len());
        pairs.extend(olds.iter().zip(&news).map(|(old, new)| (*old, *new, false)));
        gone.extend(&olds[both..]);
        come.extend(&news[both..]);
    }
    let mut told: Vec<(usize, Vec<JsonChange>)> = Vec::new();
    for (from, to, moved) in pairs {
        let mut changes = Vec::new();
        let (was, at) = (format!("{was}/{from}"), format!("{at}/{to}"));
        if moved {
            changes.push(JsonChange::Moved {
                from: was.clone(),
                to: at.clone(),
            });
        }
        compare(&was, &at, &old[from], &new[to], &mut changes);
        told.push((to, changes));
    }
    told.extend(come.into_iter().map(|to| {
        (
            to,
            vec![JsonChange::Added {
                at: format!("{at}/{to}"),
                value: new[to].compact(),
            }],
        )
    }));
    told.sort_by_key(|(to, _)| *to);
    found.extend(told.into_iter().flat_map(|(_, changes)| changes));
    found.extend(gone.into_iter().map(|from| JsonChange::Removed {
        at: format!("{was}/{from}"),
        value: old[from].compact(),
    }));
}

/// Takes items out of what was exchanged that are the same in both lists.
fn pair_moved(
    exchanged: &mut [(Vec<usize>, Vec<usize>)],
    old: &[u64],
    new: &[u64],
    pairs: &mut Vec<(usize, usize, bool)>,
) {
    let mut waiting: HashMap<u64, Vec<usize>> = HashMap::new();
    for from in exchanged.iter().flat_map(|(olds, _)| olds) {
        waiting.entry(old[*from]).or_default().push(*from);
    }
    let mut taken = Vec::new();
    for (_, news) in exchanged.iter_mut() {
        news.retain(|to| {
            match waiting
                .get_mut(&new[*to])
                .filter(|froms| !froms.is_empty())
                .map(|froms| froms.remove(0))
            {
                Some(from) => {
                    pairs.push((from, *to, true));
                    taken.push(from);
                    false
                }
                None => true,
            }
        });
    }
    taken.sort_unstable();
    for (olds, _) in exchanged {
        olds.retain(|from| taken.binary_search(from).is_err());
    }
}

/// What each item says it is, when every one says so and no two say the same.
fn identities(items: &[RawJsonNode<'_>], name: &str) -> Option<Vec<u64>> {
    let mut ids = Vec::with_capacity(items.len());
    for item in items {
        let RawJsonNode::Map(members) = item else {
            return None;
        };
        match members.iter().find(|(known, _)| *known == name) {
            Some((_, id @ RawJsonNode::Leaf(_))) => ids.push(hash(id)),
            _ => return None,
        }
    }
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    (sorted.len() == ids.len()).then_some(ids)
}

fn hash(node: &RawJsonNode<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    node.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(old: &str, new: &str) -> Vec<String> {
        let line = |change: JsonChange| match change {
            JsonChange::Added { at, value } => format!("+ {at} {value}"),
            JsonChange::Removed { at, value } => format!("- {at} {value}"),
            JsonChange::Changed { at, old, new } => format!("~ {at} {old} -> {new}"),
            JsonChange::Moved { from, to } => format!("> {from} -> {to}"),
        };
        changes(old, new).unwrap().into_iter().map(line).collect()
    }

    #[test]
    fn each_kind_of_change_has_its_pointer() {
        let cases: [(&str, &str, &[&str]); 9] = [
            (r#"{"a":1,"b":2}"#, r#"{ "b":2, "a":1 }"#, &[]),
            (
                r#"{"a":1}"#,
                r#"{"a":1.0,"x/y":[]}"#,
                &["~ /a 1 -> 1.0", "+ /x~1y []"],
            ),
            (
                r#"{"a":1,"b":{"c":true}}"#,
                r#"{"a":1,"b":{}}"#,
                &["- /b/c true"],
            ),
            (
                r#"["a","b","c"]"#,
                r#"["a","x","c","d"]"#,
                &["~ /1 \"b\" -> \"x\"", "+ /3 \"d\""],
            ),
            (r#"["a","b","c"]"#, r#"["c","a","b"]"#, &["> /2 -> /0"]),
            (r#"["a","b","c"]"#, r#"["a","c"]"#, &["- /1 \"b\""]),
            (
                r#"[{"id":1,"t":"x"},{"id":2,"t":"y"}]"#,
                r#"[{"id":0,"t":"n"},{"id":1,"t":"z"},{"id":2,"t":"y"}]"#,
                &["+ /0 {\"id\":0,\"t\":\"n\"}", "~ /1/t \"x\" -> \"z\""],
            ),
            (
                r#"[{"id":1,"t":"x"},{"id":2,"t":"y"}]"#,
                r#"[{"id":2,"t":"w"},{"id":1,"t":"x"}]"#,
                &["~ /0/t \"y\" -> \"w\"", "> /0 -> /1"],
            ),
            (
                r#"{"a":[1]}"#,
                r#"{"a":{"0":1}}"#,
                &["~ /a [1] -> {\"0\":1}"],
            ),
        ];
        for (old, new, expected) in cases {
            let mut found = told(old, new);
            found.sort();
            let mut expected: Vec<String> =
                expected.iter().map(|line| (*line).to_owned()).collect();
            expected.sort();
            // Which of two exchanged items moved is a matter of taste; that one did is not.
            if found != expected && expected.iter().any(|line| line.starts_with('>')) {
                assert_eq!(found.len(), expected.len(), "{old} {new}: {found:?}");
                assert_eq!(
                    found.iter().filter(|line| line.starts_with('>')).count(),
                    1,
                    "{found:?}"
                );
                continue;
            }
            assert_eq!(found, expected, "{old} {new}");
        }
    }

    #[test]
    fn what_cannot_be_compared_by_pointers_says_so() {
        assert_eq!(changes("# a", "{}"), None);
        assert_eq!(changes(r#"{"a":1,"a":2}"#, "{}"), None);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            (0i64..4).prop_map(Into::into),
            "[ab]{0,2}".prop_map(Into::into)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[ab]{1}|id", inner, 0..3)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_changed_exactly_when_the_values_are_the_same(old in json(), new in json()) {
            let (old, new) = (serde_json::json!([old]), serde_json::json!([new]));
            let found = changes(&old.to_string(), &new.to_string()).unwrap();
            prop_assert_eq!(found.is_empty(), old == new, "{:?}", found);
        }

        #[test]
        fn a_pointer_leads_to_what_is_told(old in json(), new in json()) {
            let (old, new) = (serde_json::json!([old]), serde_json::json!([new]));
            for change in changes(&old.to_string(), &new.to_string()).unwrap() {
                match change {
                    JsonChange::Added { at, value } => prop_assert_eq!(new.pointer(&at).unwrap().to_string(), value),
                    JsonChange::Removed { at, value } => prop_assert_eq!(old.pointer(&at).unwrap().to_string(), value),
                    JsonChange::Changed { at, new: value, .. } => prop_assert_eq!(new.pointer(&at).unwrap().to_string(), value),
                    JsonChange::Moved { from, to } => prop_assert!(old.pointer(&from).is_some() && new.pointer(&to).is_some()),
                }
            }
        }
    }
}
