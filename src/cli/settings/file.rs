//! Reads `config.toml`. Every value keeps its line and column; all errors are reported at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::shape::{SettingShape, joined};
use super::{SettingOrigin, SettingsLayer};
use crate::model::error::{Code, Failure, SourcePlace};
use crate::model::suggest::did_you_mean;

/// Reads the settings file; one that does not exist sets nothing.
///
/// # Errors
/// `config_invalid` for each mistake, `io_failed` when it cannot be read.
pub fn read(path: &Path, shape: &SettingShape) -> Result<SettingsLayer, Vec<Failure>> {
    let text = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(SettingsLayer::default()),
        Err(e) => {
            return Err(vec![Failure::io(
                format!("cannot read {}", path.display()),
                &e,
            )]);
        }
    };
    let file = path.display().to_string();
    let text = String::from_utf8(text).map_err(|e| {
        let place = SourcePlace {
            file: file.clone(),
            ..SourcePlace::default()
        };
        vec![
            Failure::new(
                Code::ConfigInvalid,
                format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to()),
            )
            .hint("save it as UTF-8")
            .at(place),
        ]
    })?;
    parse(&file, &text, shape)
}

/// Reads the text of a settings file.
///
/// # Errors
/// `config_invalid` for each mistake.
pub fn parse(file: &str, text: &str, shape: &SettingShape) -> Result<SettingsLayer, Vec<Failure>> {
    let mut reading = SettingsParser {
        file,
        text,
        problems: Vec::new(),
        origins: BTreeMap::new(),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        reading.problem(
            &span,
            None,
            error.message().trim().to_owned(),
            "mend the TOML",
        );
    }
    if !reading.problems.is_empty() {
        return Err(reading.problems);
    }
    let values = reading.group(table.get_ref(), shape, "", &table.span());
    if reading.problems.is_empty() {
        Ok(SettingsLayer {
            values,
            origins: reading.origins,
        })
    } else {
        Err(reading.problems)
    }
}

struct SettingsParser<'t> {
    file: &'t str,
    text: &'t str,
    problems: Vec<Failure>,
    origins: BTreeMap<String, SettingOrigin>,
}

impl SettingsParser<'_> {
    fn group(
        &mut self,
        table: &DeTable<'_>,
        shape: &SettingShape,
        path: &str,
        span: &Range<usize>,
    ) -> Map<String, Value> {
        let mut values = Map::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let here = joined(path, name);
            if let Some(shape) = self.field(shape, name, path, &key.span(), &here)
                && let Some(value) = self.value(value, shape, &here, &key.span())
            {
                values.insert(name.to_owned(), value);
            }
        }
        if let SettingShape::Group { required, .. } = shape {
            for name in required
                .iter()
                .filter(|name| table.get(name.as_str()).is_none())
            {
                self.problem(
                    span,
                    Some(path),
                    format!("'{path}' needs '{name}'"),
                    &format!("add `{name} = …`"),
                );
            }
        }
        values
    }

    fn field<'s>(
        &mut self,
        shape: &'s SettingShape,
        name: &str,
        path: &str,
        span: &Range<usize>,
        here: &str,
    ) -> Option<&'s SettingShape> {
        match shape {
            SettingShape::Map(of) => Some(of),
            SettingShape::Group { fields, .. } => {
                let known = fields.get(name);
                if known.is_none() {
                    let whose = if path.is_empty() {
                        "there is".to_owned()
                    } else {
                        format!("'{path}' has")
                    };
                    let hint = did_you_mean(name, fields.keys().map(String::as_str));
                    self.problem(
                        span,
                        Some(here),
                        format!("{whose} no setting '{}'", name.escape_debug()),
                        &hint,
                    );
                }
                known
            }
            _ => None,
        }
    }

    /// A value as JSON, when it fits. `key` is where its name stands: tables have no place of their own.
    fn value(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        shape: &SettingShape,
        path: &str,
        key: &Range<usize>,
    ) -> Option<Value> {
        let span = value.span();
        let fits = match (shape, value.get_ref()) {
            (SettingShape::Group { .. } | SettingShape::Map(_), DeValue::Table(table)) => {
                return Some(Value::Object(self.group(table, shape, path, key)));
            }
            (SettingShape::List(of), DeValue::Array(items)) => {
                let items = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| self.value(item, of, &format!("{path}[{at}]"), key))
                    .collect::<Vec<_>>();
                items
                    .into_iter()
                    .collect::<Option<Vec<_>>>()
                    .map(Value::Array)
            }
            (SettingShape::Text, DeValue::String(text)) => Some(Value::from(text.as_ref())),
            (SettingShape::Choice(words), DeValue::String(text)) => words
                .iter()
                .any(|word| word == text)
                .then(|| Value::from(text.as_ref())),
            (SettingShape::Flag, DeValue::Boolean(flag)) => Some(Value::from(*flag)),
            (SettingShape::Whole(max), DeValue::Integer(digits)) => {
                u64::from_str_radix(digits.as_str(), digits.radix())
                    .ok()
                    .filter(|number| number <= max)
                    .map(Value::from)
            }
            _ => None,
        };
        match &fits {
            Some(_) => {
                self.origins.insert(
                    path.to_owned(),
                    SettingOrigin::File(self.place(&span, Some(path))),
                );
            }
            None if matches!(
                (shape, value.get_ref()),
                (SettingShape::List(_), DeValue::Array(_))
            ) => {}
            None => self.misfit(value, shape, path),
        }
        fits
    }

    fn misfit(&mut self, value: &Spanned<DeValue<'_>>, shape: &SettingShape, path: &str) {
        let found = match value.get_ref() {
            DeValue::String(text) => format!("the text \"{}\"", text.escape_debug()),
            DeValue::Integer(digits) => format!("{digits}"),
            DeValue::Float(digits) => format!("{digits}"),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Datetime(at) => format!("the time {at}"),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        let hint = match (shape, value.get_ref()) {
            (SettingShape::Choice(words), DeValue::String(text)) => {
                did_you_mean(text, words.iter().map(String::as_str))
            }
            (SettingShape::Text, _) => "put it in quotes".to_owned(),
            (SettingShape::Whole(_) | SettingShape::Flag, DeValue::String(_)) => {
                "write it without quotes".to_owned()
            }
            _ => format!("write {}", shape.words()),
        };
        self.problem(
            &value.span(),
            Some(path),
            format!("'{path}' must be {}, not {found}", shape.words()),
            &hint,
        );
    }

    fn problem(&mut self, span: &Range<usize>, field: Option<&str>, message: String, hint: &str) {
        let place = self.place(span, field);
        self.problems.push(
            Failure::new(Code::ConfigInvalid, message)
                .hint(hint)
                .at(place),
        );
    }

    fn place(&self, span: &Range<usize>, field: Option<&str>) -> SourcePlace {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |line| line.chars().count())
            + 1;
        let count = |number: usize| u32::try_from(number).ok();
        SourcePlace {
            file: self.file.to_owned(),
            line: count(line),
            column: count(column),
            field: field.map(str::to_owned),
        }
    }
}
