//! Reads a tree with positions field by field and keeps every problem it meets.
//!
//! A read that fails records why and gives a neutral value, so that the rest of the file is checked
//! too; whoever reads asks [`ProblemList::is_empty`] at the end and throws the value away otherwise.

use super::yaml::{SourcePosition, YamlContent, YamlError, YamlMember, YamlNode};
use crate::model::error::{Code, Failure, SourcePlace};
use crate::model::id::is_name;
use crate::model::suggest::did_you_mean_or_list;

/// The problems of one file.
pub(crate) struct ProblemList {
    file: String,
    code: Code,
    found: Vec<(SourcePosition, Failure)>,
}

impl ProblemList {
    pub(crate) fn new(file: &str, code: Code) -> Self {
        Self {
            file: file.to_owned(),
            code,
            found: Vec::new(),
        }
    }

    pub(crate) fn add(
        &mut self,
        at: SourcePosition,
        field: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let field = (!field.is_empty()).then(|| field.to_owned());
        let place = SourcePlace {
            file: self.file.clone(),
            line: Some(at.line),
            column: Some(at.column),
            field,
        };
        self.found
            .push((at, Failure::new(self.code, message).hint(hint).at(place)));
    }

    /// The text could not be read at all.
    pub(crate) fn broken(self, broken: YamlError) -> Vec<Failure> {
        let (line, column) = broken
            .at
            .map_or((None, None), |at| (Some(at.line), Some(at.column)));
        let place = SourcePlace {
            file: self.file,
            line,
            column,
            field: None,
        };
        vec![
            Failure::new(self.code, format!("the file {}", broken.message))
                .hint(broken.hint)
                .at(place),
        ]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them, in the order of the file.
    pub(crate) fn into_failures(mut self) -> Vec<Failure> {
        self.found.sort_by_key(|(at, _)| *at);
        self.found.into_iter().map(|(_, failure)| failure).collect()
    }
}

/// A value with the path of its field.
#[derive(Clone)]
pub(crate) struct YamlField<'a> {
    node: &'a YamlNode,
    path: String,
}

impl<'a> YamlField<'a> {
    /// The document itself.
    pub(crate) fn root(node: &'a YamlNode) -> Self {
        Self {
            node,
            path: String::new(),
        }
    }

    pub(crate) fn problem(
        &self,
        problems: &mut ProblemList,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        problems.add(self.node.at, &self.path, message, hint);
    }

    pub(crate) fn problem_at(
        &self,
        at: SourcePosition,
        problems: &mut ProblemList,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        problems.add(at, &self.path, message, hint);
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.node.data, YamlContent::Text(_))
    }

    pub(crate) fn is_empty_list(&self) -> bool {
        matches!(&self.node.data, YamlContent::List(items) if items.is_empty())
    }

    fn wrong_type(&self, wanted: &str, problems: &mut ProblemList) {
        let hint = match self.node.data {
            YamlContent::Bool | YamlContent::Integer(_) | YamlContent::Float(_)
                if wanted == "text" =>
            {
                "put it in quotes"
            }
            YamlContent::Null => "write a value, or leave the field out",
            _ => "change the value",
        };
        self.problem(
            problems,
            format!("must be {wanted}, and is {}", self.node.kind()),
            hint,
        );
    }

    pub(crate) fn text(&self, problems: &mut ProblemList) -> String {
        match &self.node.data {
            YamlContent::Text(text) => text.clone(),
            _ => {
                self.wrong_type("text", problems);
                String::new()
            }
        }
    }

    /// Text that fits the grammar of names.
    pub(crate) fn name(&self, problems: &mut ProblemList) -> String {
        let text = match &self.node.data {
            YamlContent::Text(text) => text.clone(),
            _ => return self.text(problems),
        };
        if !is_name(&text) {
            self.problem(
                problems,
                format!("'{text}' is not a name"),
                "start with a letter, then letters, digits, _ and -, at most 64 (ASCII)",
            );
        }
        text
    }

    pub(crate) fn integer(&self, least: u64, most: u64, problems: &mut ProblemList) -> u64 {
        let YamlContent::Integer(given) = self.node.data else {
            self.wrong_type("a whole number", problems);
            return least;
        };
        match u64::try_from(given) {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                let range = if most == u64::from(u32::MAX) {
                    format!("{least} or more")
                } else {
                    format!("{least} to {most}")
                };
                self.problem(
                    problems,
                    format!("must be {range}, and is {given}"),
                    "change the number",
                );
                least
            }
        }
    }

    pub(crate) fn count(&self, least: u32, most: u32, problems: &mut ProblemList) -> u32 {
        u32::try_from(self.integer(u64::from(least), u64::from(most), problems)).unwrap_or(most)
    }

    #[expect(clippy::cast_precision_loss, reason = "sampling parameters are small")]
    pub(crate) fn number(&self, least: f64, most: f64, problems: &mut ProblemList) -> f64 {
        let given = match self.node.data {
            YamlContent::Integer(number) => number as f64,
            YamlContent::Float(number) => number,
            _ => {
                self.wrong_type("a number", problems);
                return least;
            }
        };
        if !(least..=most).contains(&given) {
            self.problem(
                problems,
                format!("must be {least} to {most}, and is {given}"),
                "change the number",
            );
        }
        given
    }

    /// One of a few words; an unknown one gets the nearest as its hint.
    pub(crate) fn one_of(
        &self,
        what: &str,
        known: &[&str],
        problems: &mut ProblemList,
    ) -> Option<usize> {
        let text = match &self.node.data {
            YamlContent::Text(text) => text,
            _ => {
                self.wrong_type("text", problems);
                return None;
            }
        };
        let index = known.iter().position(|word| word == text);
        if index.is_none() {
            self.unknown(what, text, known, problems);
        }
        index
    }

    /// As [`one_of`](Self::one_of), giving the word; empty when it is unknown.
    pub(crate) fn one_word(
        &self,
        what: &str,
        known: &[&str],
        problems: &mut ProblemList,
    ) -> String {
        self.one_of(what, known, problems)
            .and_then(|i| known.get(i))
            .map(|&word| word.to_owned())
            .unwrap_or_default()
    }

    pub(crate) fn unknown(
        &self,
        what: &str,
        given: &str,
        known: &[&str],
        problems: &mut ProblemList,
    ) {
        self.unknown_at(self.node.at, what, given, known, problems);
    }

    pub(crate) fn unknown_at(
        &self,
        at: SourcePosition,
        what: &str,
        given: &str,
        known: &[&str],
        problems: &mut ProblemList,
    ) {
        let hint = did_you_mean_or_list(given, "known", known.iter().copied());
        self.problem_at(at, problems, format!("'{given}' is not a {what}"), hint);
    }

    pub(crate) fn list(&self, problems: &mut ProblemList) -> Vec<Self> {
        let YamlContent::List(items) = &self.node.data else {
            self.wrong_type("a list", problems);
            return Vec::new();
        };
        items
            .iter()
            .enumerate()
            .map(|(i, node)| Self {
                node,
                path: format!("{}[{i}]", self.path),
            })
            .collect()
    }

    /// A list in which nothing is said twice; `read` gives what two items are compared by.
    pub(crate) fn distinct(
        &self,
        what: &str,
        problems: &mut ProblemList,
        mut read: impl FnMut(&Self, &mut ProblemList) -> String,
    ) -> Vec<String> {
        let mut values: Vec<String> = Vec::new();
        for item in self.list(problems) {
            let value = read(&item, problems);
            if !value.is_empty() && values.contains(&value) {
                item.problem(
                    problems,
                    format!("{what} '{value}' is there twice"),
                    "keep one of the two",
                );
            }
            values.push(value);
        }
        values
    }

    /// The fields of a group; every one that is not `known` is a problem.
    pub(crate) fn group(
        &self,
        known: &[&str],
        problems: &mut ProblemList,
    ) -> Option<YamlMapping<'a>> {
        let YamlContent::Map(members) = &self.node.data else {
            self.wrong_type("a group of fields", problems);
            return None;
        };
        let group = YamlMapping {
            members,
            at: self.node.at,
            path: self.path.clone(),
        };
        for member in members
            .iter()
            .filter(|member| !known.contains(&member.key.as_str()))
        {
            let hint = did_you_mean_or_list(&member.key, "known", known.iter().copied());
            problems.add(
                member.key_at,
                &group.path_of(&member.key),
                format!("there is no field '{}' here", member.key),
                hint,
            );
        }
        Some(group)
    }

    /// The keys and values of a group whose keys are free.
    pub(crate) fn members(
        &self,
        problems: &mut ProblemList,
    ) -> Vec<(&'a str, SourcePosition, Self)> {
        let YamlContent::Map(members) = &self.node.data else {
            self.wrong_type("a group of fields", problems);
            return Vec::new();
        };
        let group = YamlMapping {
            members,
            at: self.node.at,
            path: self.path.clone(),
        };
        members
            .iter()
            .map(|m| {
                (
                    m.key.as_str(),
                    m.key_at,
                    Self {
                        node: &m.value,
                        path: group.path_of(&m.key),
                    },
                )
            })
            .collect()
    }
}

/// The fields of a group.
pub(crate) struct YamlMapping<'a> {
    members: &'a [YamlMember],
    at: SourcePosition,
    path: String,
}

impl<'a> YamlMapping<'a> {
    /// A field that may be missing.
    pub(crate) fn optional(&self, key: &str) -> Option<YamlField<'a>> {
        let member = self.members.iter().find(|member| member.key == key)?;
        Some(YamlField {
            node: &member.value,
            path: self.path_of(key),
        })
    }

    /// A field that must be there.
    pub(crate) fn required(&self, key: &str, problems: &mut ProblemList) -> Option<YamlField<'a>> {
        let field = self.optional(key);
        if field.is_none() {
            problems.add(
                self.at,
                &self.path,
                format!("field '{key}' is missing"),
                format!("add `{key}:`"),
            );
        }
        field
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}
