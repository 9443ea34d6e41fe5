//! Values on the command line that are more than words: each from its text, or what is wrong with it.

use crate::model::id::{PhaseKey, RoleId};
use crate::model::money::NanoUsd;
use crate::model::record::Scenario;
use crate::model::state::{OnDisconnect, Strategy};

/// An amount above zero.
pub(super) fn dollars(text: &str) -> Result<NanoUsd, String> {
    NanoUsd::from_decimal(text.trim_start_matches('$'))
        .filter(|amount| amount.0 > 0)
        .ok_or_else(|| "write it like 2.50".to_owned())
}

/// Every state of a run, by name.
pub(super) fn state_names() -> clap::builder::PossibleValuesParser {
    crate::model::state::RunStatus::ALL
        .iter()
        .map(|state| state.as_str())
        .collect::<Vec<_>>()
        .into()
}

/// Every format, by name.
pub(super) fn format_names() -> clap::builder::PossibleValuesParser {
    crate::cli::formats::FORMATS
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

/// `ROLE=NAME`.
pub(super) fn persona(text: &str) -> Result<(RoleId, String), String> {
    let (role, name) = pair(text, "ROLE=NAME, such as architect=careful-architect")?;
    Ok((role.into(), name.to_owned()))
}

/// `PHASE=NAME`.
pub(super) fn scenario(text: &str) -> Result<(PhaseKey, Scenario), String> {
    let (phase, name) = pair(text, "PHASE=NAME, such as spec=invalid_then_ok")?;
    let scenario = Scenario::parse(name)
        .ok_or_else(|| format!("'{name}' is no scenario; there are ok, invalid_then_ok, invalid, timeout, slow and crash"))?;
    Ok((phase.into(), scenario))
}

/// A phase's key.
pub(super) fn phase(text: &str) -> Result<PhaseKey, String> {
    Ok(text.into())
}

/// What becomes of a run that holds the lane.
pub(super) fn strategy(text: &str) -> Result<Strategy, String> {
    Strategy::parse(text).ok_or_else(|| {
        format!("'{text}' is no strategy; there are reject, enqueue, interrupt and rollback")
    })
}

/// What becomes of a run when its terminal is lost.
pub(super) fn on_disconnect(text: &str) -> Result<OnDisconnect, String> {
    OnDisconnect::parse(text).ok_or_else(|| format!("'{text}' is neither continue nor cancel"))
}

/// A SHA-256 in hex, or the beginning of one.
pub(super) fn hash_prefix(text: &str) -> Result<String, String> {
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    if (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a hash is 8 to 64 hex digits".to_owned())
    }
}
