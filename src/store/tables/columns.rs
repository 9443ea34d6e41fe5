//! Reads columns as the types of the model, by name, or by place where a row is read very often. Numbers that no program of ours writes become the
//! nearest one that fits, so that a list shows a damaged row instead of failing on it.

use std::str::FromStr;

use rusqlite::types::Type;
use rusqlite::{Error, Result, Row, RowIndex};
use serde::de::DeserializeOwned;

use crate::model::event::TokenUsage;
use crate::model::hash::ContentHash;
use crate::model::money::{CallCost, NanoUsd};
use crate::model::time::Timestamp;

/// A column that holds the text of `T`.
pub fn parsed<T: FromStr>(row: &Row<'_>, column: &str) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|e: T::Err| unreadable(row, column, Box::new(e)))
}

/// A column that holds a wire name, read by `parse`.
pub fn named<T>(row: &Row<'_>, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| {
        unreadable(
            row,
            column,
            format!("'{text}' is not a known {column}").into(),
        )
    })
}

/// A column that holds a wire name of an enum, read as its JSON.
pub fn wire<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

/// A count; what does not fit becomes the nearest that does.
pub fn count(row: &Row<'_>, column: impl RowIndex) -> Result<u32> {
    let value: i64 = row.get(column)?;
    Ok(u32::try_from(value.max(0)).unwrap_or(u32::MAX))
}

/// A large count; a negative one becomes 0.
pub fn large(row: &Row<'_>, column: impl RowIndex) -> Result<u64> {
    let value: i64 = row.get(column)?;
    Ok(u64::try_from(value).unwrap_or(0))
}

/// A moment.
pub fn at(row: &Row<'_>, column: impl RowIndex) -> Result<Timestamp> {
    row.get(column).map(Timestamp)
}

/// A moment that may be absent.
pub fn at_option(row: &Row<'_>, column: impl RowIndex) -> Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp))
}

/// A hash.
pub fn hash(row: &Row<'_>, column: impl RowIndex) -> Result<ContentHash> {
    row.get(column).map(ContentHash)
}

/// A hash that may be absent.
pub fn hash_option(row: &Row<'_>, column: impl RowIndex) -> Result<Option<ContentHash>> {
    Ok(row.get::<_, Option<String>>(column)?.map(ContentHash))
}

/// Money that may be unknown.
pub fn money(row: &Row<'_>, column: impl RowIndex) -> Result<Option<NanoUsd>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(NanoUsd))
}

/// The columns `cost_nano` and `unknown_calls`.
pub fn cost(row: &Row<'_>) -> Result<CallCost> {
    Ok(CallCost {
        known: NanoUsd(row.get("cost_nano")?),
        unknown_calls: count(row, "unknown_calls")?,
    })
}

/// The four columns `tokens_…`.
pub fn tokens(row: &Row<'_>) -> Result<TokenUsage> {
    Ok(TokenUsage {
        input: large(row, "tokens_input")?,
        output: large(row, "tokens_output")?,
        cached: large(row, "tokens_cached")?,
        reasoning: large(row, "tokens_reasoning")?,
    })
}

/// A number as SQLite keeps it; what does not fit becomes the largest that does.
#[must_use]
pub fn stored(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unreadable(row: &Row<'_>, column: &str, why: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let index = row.as_ref().column_index(column).unwrap_or_default();
    Error::FromSqlConversionFailure(index, Type::Text, why)
}
