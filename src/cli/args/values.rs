//! Parsers for command-line values. Each returns the value or an error message.

use crate::model::id::{PhaseKey, RoleId};
use crate::model::money::NanoUsd;
use crate::model::record::RehearsalScenario;
use crate::model::state::{OnDisconnect, Strategy};

/// Parses an amount of US dollars greater than zero.
pub(super) fn dollars(text: &str) -> Result<NanoUsd, String> {
    NanoUsd::from_decimal(text.trim_start_matches('$'))
        .filter(|amount| amount.0 > 0)
        .ok_or_else(|| "expected an amount above zero, such as 2.50".to_owned())
}

/// Accepts the name of a run state.
pub(super) fn state_names() -> clap::builder::PossibleValuesParser {
    crate::model::state::RunStatus::ALL
        .iter()
        .map(|state| state.as_str())
        .collect::<Vec<_>>()
        .into()
}

/// Accepts the name of a format.
pub(super) fn format_names() -> clap::builder::PossibleValuesParser {
    crate::cli::output::formats::FORMATS
        .iter()
        .map(|format| format.name)
        .collect::<Vec<_>>()
        .into()
}

fn pair<'a>(text: &'a str, shape: &str) -> Result<(&'a str, &'a str), String> {
    match text.split_once('=') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() => Ok((left, right)),
        _ => Err(format!("'{text}' is not {shape}")),
    }
}

/// Parses `ROLE=NAME`.
pub(super) fn persona(text: &str) -> Result<(RoleId, String), String> {
    let (role, name) = pair(text, "ROLE=NAME, such as architect=careful-architect")?;
    Ok((role.into(), name.to_owned()))
}

/// Parses `PHASE=NAME`.
pub(super) fn scenario(text: &str) -> Result<(PhaseKey, RehearsalScenario), String> {
    let (phase, name) = pair(text, "PHASE=NAME, such as spec=invalid_then_ok")?;
    let scenario = RehearsalScenario::parse(name)
        .ok_or_else(|| format!("'{name}' is not a scenario; expected ok, invalid_then_ok, invalid, timeout, slow or crash"))?;
    Ok((phase.into(), scenario))
}

/// Parses a phase key.
pub(super) fn phase(text: &str) -> Result<PhaseKey, String> {
    Ok(text.into())
}

/// Parses the strategy for a busy thread.
pub(super) fn strategy(text: &str) -> Result<Strategy, String> {
    Strategy::parse(text).ok_or_else(|| {
        format!("'{text}' is not a strategy; expected reject, enqueue, interrupt or rollback")
    })
}

/// Parses the policy for a lost terminal.
pub(super) fn on_disconnect(text: &str) -> Result<OnDisconnect, String> {
    OnDisconnect::parse(text)
        .ok_or_else(|| format!("'{text}' is not a policy; expected continue or cancel"))
}

/// Parses a hex SHA-256 or a prefix of one, with or without `sha256:`.
pub(super) fn hash_prefix(text: &str) -> Result<String, String> {
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    if (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("expected 8 to 64 hex digits".to_owned())
    }
}
