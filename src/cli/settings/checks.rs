//! Checks of setting values beyond their types.

use super::shape::joined;
use super::{LoadedSettings, SettingOrigin};
use crate::model::error::{Code, Failure};
use crate::model::money::NanoUsd;

/// Everything that makes no sense, each at the place it was set.
#[must_use]
pub fn problems(loaded: &LoadedSettings) -> Vec<Failure> {
    let settings = &loaded.settings;
    let mut problems = Vec::new();
    let mut refuse = |path: String, message: &str, hint: &str| {
        problems.push(problem(loaded, &path, message, hint))
    };
    for (path, value) in [
        (
            "engine.max_concurrent_runs",
            u64::from(settings.engine.max_concurrent_runs),
        ),
        ("engine.max_turns", u64::from(settings.engine.max_turns)),
        (
            "engine.max_artifact_bytes",
            settings.engine.max_artifact_bytes,
        ),
        ("openai.max_tries", u64::from(settings.openai.max_tries)),
        (
            "openai.connect_timeout_seconds",
            settings.openai.connect_timeout_seconds,
        ),
        (
            "openai.idle_timeout_seconds",
            settings.openai.idle_timeout_seconds,
        ),
    ] {
        if value == 0 {
            refuse(
                path.to_owned(),
                "must be at least 1",
                "with 0 nothing could ever work",
            );
        }
    }
    let url = &settings.openai.base_url;
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        refuse(
            "openai.base_url".to_owned(),
            "must begin with http:// or https://",
            "such as https://openrouter.ai/api/v1",
        );
    }
    let webhook = &settings.notify.webhook;
    if !(webhook.is_empty() || webhook.starts_with("http://") || webhook.starts_with("https://")) {
        refuse(
            "notify.webhook".to_owned(),
            "must begin with http:// or https://",
            "such as https://example.org/hooks/phasedeck",
        );
    }
    let collector = &settings.telemetry.otlp_endpoint;
    if !(collector.is_empty()
        || collector.starts_with("http://")
        || collector.starts_with("https://"))
    {
        refuse(
            "telemetry.otlp_endpoint".to_owned(),
            "must begin with http:// or https://",
            "such as http://localhost:4318",
        );
    }
    for (model, price) in &settings.prices {
        let amounts = [
            ("input", Some(&price.input)),
            ("output", Some(&price.output)),
            ("cached", price.cached.as_ref()),
        ];
        for (name, _) in amounts
            .into_iter()
            .filter(|(_, text)| text.is_some_and(|text| NanoUsd::from_decimal(text).is_none()))
        {
            refuse(
                joined(&joined("prices", model), name),
                "must be a decimal number of dollars",
                "such as \"0.25\", per million tokens",
            );
        }
    }
    let budget = &settings.budget;
    let limits = [
        ("budget.run".to_owned(), &budget.run),
        ("budget.day".to_owned(), &budget.day),
    ];
    let by_workflow = budget
        .workflows
        .iter()
        .map(|(name, limit)| (joined("budget.workflows", name), limit));
    for (path, text) in limits.into_iter().chain(by_workflow) {
        if !text.is_empty() && NanoUsd::from_decimal(text).is_none_or(|limit| limit.0 <= 0) {
            refuse(
                path,
                "must be a decimal number of dollars above 0, or empty",
                "such as \"5.00\"",
            );
        }
    }
    problems
}

fn problem(loaded: &LoadedSettings, path: &str, message: &str, hint: &str) -> Failure {
    let origin = loaded.origin(path);
    let name = if let SettingOrigin::Variable(name) = &origin {
        name.clone()
    } else {
        format!("'{path}'")
    };
    let failure = Failure::new(Code::ConfigInvalid, format!("{name} {message}")).hint(hint);
    match origin {
        SettingOrigin::File(place) => failure.at(place),
        _ => failure,
    }
}
