//! `phasedeck doctor`: checks the environment. `--config` prints the settings in force instead.

use crate::app::screens::info::state::SettingLine;
use crate::cli::args::DoctorArgs;
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams::CommandOutcome;
use crate::cli::output::style::{OutputStyle, TextTone};
use crate::cli::output::table::{TableCell, TextTable};
use crate::cli::settings::shape::SettingShape;
use crate::cli::settings::{LoadedSettings, SettingOrigin};
use crate::engine::doctor::{CheckEnvironment, CheckStatus, EnvironmentCheck, run_checks};
use crate::model::safe_text::safe_line;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Examines, or tells the settings.
///
/// # Errors
/// What writing says. A failed check is no error of the command, but its exit code is 1.
pub fn doctor(setup: &CommandContext, args: DoctorArgs) -> CommandOutcome {
    if args.config {
        return config(setup, args.json);
    }
    let checks = run_checks(&CheckEnvironment {
        paths: setup.paths.clone(),
        settings: setup.loaded.settings.clone(),
    });
    if args.json {
        setup.out.document(&checks)?;
    } else {
        setup.out.print(&format_checks(&checks, setup.out.style))?;
    }
    let failed = checks
        .iter()
        .any(|check| check.verdict == CheckStatus::Failure);
    Ok(if failed {
        ExitStatus::Failed
    } else {
        ExitStatus::Done
    })
}

fn format_checks(checks: &[EnvironmentCheck], style: OutputStyle) -> String {
    let mut text = String::new();
    for check in checks {
        let (glyph, tone) = match check.verdict {
            CheckStatus::Ok => (if style.ascii { "+" } else { "✓" }, TextTone::Done),
            CheckStatus::Warning => ("!", TextTone::Gate),
            CheckStatus::Failure => (if style.ascii { "x" } else { "✗" }, TextTone::Failed),
        };
        let name = format!("{}: {}", check.subject.name(), check.name);
        text.push_str(&format!(
            "{} {name:<24} {}\n",
            style.paint(tone, glyph),
            safe_line(&check.found)
        ));
        if !check.advice.is_empty() {
            text.push_str(&format!("  {:<24} {}\n", "", safe_line(&check.advice)));
        }
    }
    let count = |verdict| {
        checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    };
    text.push_str(&format!(
        "{} ok, {} to look at, {} failed\n",
        count(CheckStatus::Ok),
        count(CheckStatus::Warning),
        count(CheckStatus::Failure)
    ));
    text
}

/// A setting in force, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Setting")]
pub struct EffectiveSetting<'a> {
    /// Its path, such as `openai.base_url`.
    setting: &'a str,
    /// Its value as JSON text; what may be a secret is named and not shown.
    value: &'a str,
    /// Where it comes from: `built in`, `FILE:LINE`, a variable, or a flag.
    origin: &'a str,
}

impl<'a> EffectiveSetting<'a> {
    fn from_line(line: &'a SettingLine) -> Self {
        Self {
            setting: &line.path,
            value: &line.value,
            origin: origin_text(line),
        }
    }
}

fn config(setup: &CommandContext, json: bool) -> CommandOutcome {
    let lines = setting_lines(setup);
    if json {
        setup.out.document(
            &lines
                .iter()
                .map(EffectiveSetting::from_line)
                .collect::<Vec<_>>(),
        )?;
        return Ok(ExitStatus::Done);
    }
    let mut table = TextTable::new(&["SETTING", "VALUE", "FROM"]);
    for line in &lines {
        let tone = if line.origin.is_empty() {
            TextTone::Quiet
        } else {
            TextTone::Plain
        };
        table.row(vec![
            TableCell::new(&line.path),
            TableCell::new(&line.value).at_most(48, setup.out.style.ascii),
            TableCell::new(origin_text(line)).tone(tone),
        ]);
    }
    setup.out.print(&table.render(0, setup.out.style))?;
    Ok(ExitStatus::Done)
}

fn origin_text(line: &SettingLine) -> &str {
    if line.origin.is_empty() {
        "built in"
    } else {
        &line.origin
    }
}

/// Every setting in force, with where it comes from.
#[must_use]
pub fn setting_lines(setup: &CommandContext) -> Vec<SettingLine> {
    lines(&setup.loaded)
}

fn lines(loaded: &LoadedSettings) -> Vec<SettingLine> {
    let values = serde_json::to_value(&loaded.settings).unwrap_or_default();
    let mut lines = Vec::new();
    for (path, shape) in SettingShape::of_settings().leaves() {
        let value = path.split('.').fold(&values, |value, name| &value[name]);
        let whole = |value: String| SettingLine {
            path: path.clone(),
            value,
            origin: origin(loaded, &path),
        };
        match (shape, value) {
            (SettingShape::Map(_), Value::Object(entries)) if entries.is_empty() => {
                lines.push(whole("{}".to_owned()))
            }
            (SettingShape::Map(_), Value::Object(entries)) => {
                for (name, value) in entries {
                    let path = crate::cli::settings::shape::joined(&path, name);
                    lines.push(SettingLine {
                        value: shown(&path, value),
                        origin: origin(loaded, &path),
                        path,
                    });
                }
            }
            (_, value) => lines.push(whole(shown(&path, value))),
        }
    }
    lines
}

/// A value as it would be written; what is sent with requests may be a secret and is never shown.
fn shown(path: &str, value: &Value) -> String {
    if path.starts_with("openai.headers.") {
        "(set, not shown)".to_owned()
    } else {
        value.to_string()
    }
}

/// Where a value comes from; a table's own place where its parts have none.
fn origin(loaded: &LoadedSettings, path: &str) -> String {
    let beneath = || {
        loaded
            .origins
            .iter()
            .find(|(other, _)| other.starts_with(&format!("{path}.")))
            .map(|(_, origin)| origin.clone())
    };
    match loaded
        .origins
        .get(path)
        .cloned()
        .or_else(beneath)
        .unwrap_or_default()
    {
        SettingOrigin::Default => String::new(),
        SettingOrigin::File(place) => match place.line {
            Some(line) => format!("{}:{line}", place.file),
            None => place.file,
        },
        SettingOrigin::Variable(name) => name,
        SettingOrigin::Flag(name) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::settings::{file, layered, variables};

    fn loaded(text: &str, vars: &[(&str, &str)]) -> LoadedSettings {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let shape = SettingShape::of_settings();
        let vars = vars
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        layered(vec![
            file::read(&path, &shape),
            variables::read(vars, &shape),
        ])
        .unwrap()
    }

    #[test]
    fn each_setting_says_where_it_comes_from_and_headers_are_not_shown() {
        let text = "[engine]\non_crash = \"resume\"\n[openai.headers]\nX-Token = \"very-secret\"\n[prices.\"acme/large\"]\ninput = \"1\"\noutput = \"2\"\n";
        let all = lines(&loaded(text, &[("PHASEDECK_OPENAI_MODEL", "acme/large")]));
        let line = |path: &str| {
            all.iter()
                .find(|line| line.path == path)
                .cloned()
                .unwrap_or_default()
        };
        assert!(
            line("engine.on_crash").origin.ends_with("config.toml:2"),
            "{all:?}"
        );
        assert_eq!(line("openai.model").origin, "PHASEDECK_OPENAI_MODEL");
        assert_eq!(
            (
                line("engine.max_turns").value.as_str(),
                line("engine.max_turns").origin.as_str()
            ),
            ("50", "")
        );
        assert_eq!(line("openai.headers.X-Token").value, "(set, not shown)");
        assert!(
            line("prices.\"acme/large\"")
                .origin
                .ends_with("config.toml:6"),
            "{all:?}"
        );
        assert!(!format!("{all:?}").contains("very-secret"));
    }

    #[test]
    fn a_check_says_what_was_found_and_what_to_do() {
        let check = |verdict, advice: &str| EnvironmentCheck {
            subject: crate::engine::doctor::Subject::Git,
            name: "program".to_owned(),
            verdict,
            found: "git version 2.39\u{1b}[0m".to_owned(),
            advice: advice.to_owned(),
        };
        let text = format_checks(
            &[
                check(CheckStatus::Ok, ""),
                check(CheckStatus::Warning, "update git"),
            ],
            OutputStyle::default(),
        );
        insta::assert_snapshot!(text, @"
        ✓ git: program             git version 2.39␛[0m
        ! git: program             git version 2.39␛[0m
                                   update git
        1 ok, 1 to look at, 0 failed
        ");
    }
}
