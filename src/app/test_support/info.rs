//! What the screens about the program itself show: costs and the doctor's findings.

use super::run_id;
use crate::app::screens::info::state::CostBreakdown;
use crate::engine::api::{CheckStatus, EnvironmentCheck, Subject};
use crate::model::event::TokenUsage;
use crate::model::money::{CallCost, NanoUsd};
use crate::model::record::CostLine;

/// What a month of work cost.
pub fn costs() -> CostBreakdown {
    let line = |label: String, nano: i64, unknown: u32| {
        let tokens = TokenUsage {
            input: 120_000,
            output: 9_000,
            ..TokenUsage::default()
        };
        CostLine {
            label,
            calls: 12 + unknown,
            tokens,
            cost: CallCost {
                known: NanoUsd(nano),
                unknown_calls: unknown,
            },
        }
    };
    let days = (1..=20i64).filter(|day| day % 6 != 0).map(|day| {
        line(
            format!("2025-11-{day:02}"),
            (day * 37 % 11) * 130_000_000,
            0,
        )
    });
    let phases = [
        ("spec", 2_100),
        ("plan", 3_400),
        ("implement", 4_570),
        ("verify", 0),
    ];
    let models = [
        ("anthropic/claude-sonnet-4.5", 9_070, 0),
        ("openai/gpt-5-mini", 1_000, 0),
        ("local/unpriced", 0, 3),
    ];
    CostBreakdown {
        days: days.collect(),
        phases: phases
            .iter()
            .map(|(label, milli)| {
                line(
                    (*label).to_owned(),
                    milli * 1_000_000,
                    u32::from(*milli == 0) * 3,
                )
            })
            .collect(),
        models: models
            .iter()
            .map(|(label, milli, unknown)| line((*label).to_owned(), milli * 1_000_000, *unknown))
            .collect(),
        runs: (1..=9u8)
            .map(|n| line(run_id(n).to_string(), i64::from(n) * 210_000_000, 0))
            .collect(),
    }
}

const KEYLESS: &str = "the backend 'openai' has no key: OPENROUTER_API_KEY is not set";
const KEY_WANTED: &str = "set OPENROUTER_API_KEY to the provider's key, or openai.key_env to \"\"; a rehearsal needs none";

/// What the doctor found, for screens.
pub fn checks() -> Vec<EnvironmentCheck> {
    let check = |subject, name: &str, verdict, found: &str, advice: &str| EnvironmentCheck {
        subject,
        name: name.to_owned(),
        verdict,
        found: found.to_owned(),
        advice: advice.to_owned(),
    };
    vec![
        check(
            Subject::Terminal,
            "type",
            CheckStatus::Ok,
            "xterm-256color, in tmux",
            "",
        ),
        check(
            Subject::Disk,
            "data: room",
            CheckStatus::Failure,
            "12.0 MiB free in /home/op/.local/share/phasedeck",
            "make room: runs wait when nothing can be stored",
        ),
        check(
            Subject::Database,
            "sound",
            CheckStatus::Ok,
            "every page reads",
            "",
        ),
        check(
            Subject::Git,
            "program",
            CheckStatus::Warning,
            "git version 2.39.5 (/usr/bin/git) ignores GIT_ATTR_SOURCE",
            "update git to 2.41 or later: until then attributes in a worktree can change how files are stored",
        ),
        check(
            Subject::Keys,
            "openai",
            CheckStatus::Warning,
            KEYLESS,
            KEY_WANTED,
        ),
        check(
            Subject::Backends,
            "openai",
            CheckStatus::Warning,
            KEYLESS,
            KEY_WANTED,
        ),
        check(
            Subject::Sandbox,
            "Landlock",
            CheckStatus::Ok,
            "on; ABI 6 or later (kernel 6.12.3)",
            "",
        ),
    ]
}
