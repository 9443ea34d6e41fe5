//! Environment checks: each reports what was found and, if something is wrong, how to fix it.
//!
//! A subject is checked independently of the others, without changing anything or using the
//! network, so a screen can show each result as it arrives. The command line and the console run
//! the same checks.

use schemars::JsonSchema;
use serde::Serialize;

use super::paths::InstallPaths;
use crate::model::settings::AppSettings;

mod agents;
mod data;
mod git;
mod machine;
mod models;

/// Input of the checks.
#[derive(Clone, Debug)]
pub struct CheckEnvironment {
    /// Directories of the installation.
    pub paths: InstallPaths,
    /// The effective settings.
    pub settings: AppSettings,
}

/// Status of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Verdict")]
pub enum CheckStatus {
    /// No problem.
    Ok,
    /// Works, but something is missing or at risk.
    Warning,
    /// Does not work.
    Failure,
}

/// Result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Check")]
pub struct EnvironmentCheck {
    /// The subject that was checked.
    pub subject: Subject,
    /// The part of the subject, such as `free space`.
    pub name: String,
    /// The status.
    pub verdict: CheckStatus,
    /// What was found; may contain untrusted text.
    pub found: String,
    /// How to fix it; empty if there is nothing to fix.
    pub advice: String,
}

macro_rules! subjects {
    ($($variant:ident $name:literal $check:path;)*) => {
        /// Subjects of the checks, in display order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[expect(missing_docs, reason = "each has its name beside it")]
        pub enum Subject { $($variant,)* }

        impl Subject {
            /// All subjects.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the display name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Runs the checks of this subject; at least one.
            #[must_use]
            pub fn examine(self, patient: &CheckEnvironment) -> Vec<EnvironmentCheck> {
                let mut found = CheckFindings { subject: self, checks: Vec::new() };
                match self { $(Self::$variant => $check(patient, &mut found),)* }
                found.checks
            }
        }
    };
}

subjects! {
    Terminal "terminal" machine::terminal;
    Disk "disk" machine::disk;
    Database "database" data::database;
    Host "host" data::host;
    Registry "registry" data::registry;
    Git "git" git::program;
    Keys "keys" models::keys;
    Backends "backends" models::backends;
    Programs "agent programs" agents::programs;
    Sandbox "sandbox" machine::sandbox;
}

/// Runs the checks of all subjects, in order.
#[must_use]
pub fn run_checks(patient: &CheckEnvironment) -> Vec<EnvironmentCheck> {
    Subject::ALL
        .iter()
        .flat_map(|subject| subject.examine(patient))
        .collect()
}

/// Collects the results of one subject.
struct CheckFindings {
    subject: Subject,
    checks: Vec<EnvironmentCheck>,
}

impl CheckFindings {
    fn ok(&mut self, name: &str, found: impl Into<String>) {
        self.note(name, CheckStatus::Ok, found, "");
    }

    fn warn(&mut self, name: &str, found: impl Into<String>, advice: impl Into<String>) {
        self.note(name, CheckStatus::Warning, found, advice);
    }

    fn fail(&mut self, name: &str, found: impl Into<String>, advice: impl Into<String>) {
        self.note(name, CheckStatus::Failure, found, advice);
    }

    fn failure(&mut self, name: &str, failure: &crate::model::error::Failure) {
        self.fail(name, failure.message.clone(), failure.hint.clone());
    }

    fn note(
        &mut self,
        name: &str,
        verdict: CheckStatus,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.checks.push(EnvironmentCheck {
            subject: self.subject,
            name: name.to_owned(),
            verdict,
            found: found.into(),
            advice: advice.into(),
        });
    }
}

/// Runs a future to completion; every check has a thread of its own.
fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work))
}

/// Formats a number of bytes.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = bytes.saturating_mul(10) / 1024;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient(home: &std::path::Path) -> CheckEnvironment {
        CheckEnvironment {
            paths: InstallPaths::beneath(home),
            settings: AppSettings::default(),
        }
    }

    #[test]
    fn every_subject_reports_and_every_problem_has_advice() {
        let home = tempfile::tempdir().unwrap();
        for subject in Subject::ALL {
            let checks = subject.examine(&patient(home.path()));
            assert!(!checks.is_empty(), "{subject:?}");
            for check in checks {
                assert_eq!(check.subject, *subject);
                assert!(
                    !check.found.is_empty() && !check.name.is_empty(),
                    "{check:?}"
                );
                assert!(
                    check.verdict == CheckStatus::Ok || !check.advice.is_empty(),
                    "{check:?}"
                );
            }
        }
        assert!(
            !InstallPaths::beneath(home.path()).data.exists(),
            "a check creates nothing"
        );
    }

    #[test]
    fn an_invalid_database_fails_and_a_valid_one_does_not() {
        let home = tempfile::tempdir().unwrap();
        let patient = patient(home.path());
        patient.paths.create().unwrap();
        let verdict = || {
            Subject::Database
                .examine(&patient)
                .into_iter()
                .map(|check| check.verdict)
                .max()
        };
        drop(crate::store::Store::open(&patient.paths.database()).unwrap());
        assert_eq!(verdict(), Some(CheckStatus::Ok));
        std::fs::write(
            patient.paths.database(),
            "no database at all, but long enough to be taken for one",
        )
        .unwrap();
        assert_eq!(verdict(), Some(CheckStatus::Failure));
    }

    #[test]
    fn a_missing_key_is_named_and_a_key_is_never_displayed() {
        let home = tempfile::tempdir().unwrap();
        let mut patient = patient(home.path());
        patient.settings.openai.key_env = "PHASEDECK_TEST_NO_SUCH_KEY".to_owned();
        let checks = Subject::Keys.examine(&patient);
        assert_eq!(checks[0].verdict, CheckStatus::Warning);
        assert!(
            checks[0]
                .found
                .contains("PHASEDECK_TEST_NO_SUCH_KEY is not set"),
            "{checks:?}"
        );
        patient.settings.openai.key_command =
            ["echo", "canary-of-doctor"].map(str::to_owned).to_vec();
        let checks = Subject::Keys.examine(&patient);
        assert_eq!(
            (checks[0].verdict, checks[0].found.as_str()),
            (CheckStatus::Ok, "the key is printed by 'echo'")
        );
        patient.settings.openai.key_command = vec!["false".to_owned()];
        let checks = Subject::Keys.examine(&patient);
        assert_eq!(checks[0].verdict, CheckStatus::Warning);
        assert!(
            checks[0]
                .found
                .ends_with("'openai.key_command' ended with exit status: 1"),
            "{checks:?}"
        );
        // PATH is certainly set, and certainly must not be printed.
        patient.settings.openai.key_env = "PATH".to_owned();
        let checks = Subject::Keys.examine(&patient);
        assert_eq!(checks[0].verdict, CheckStatus::Ok);
        assert!(!checks[0].found.contains('/'), "{checks:?}");
    }

    #[test]
    fn sizes_are_formatted_with_units() {
        let told: Vec<String> = [512, 1024, 1_572_864, 5 << 30, 3 << 40].map(size).to_vec();
        assert_eq!(
            told,
            ["0.5 KiB", "1.0 KiB", "1.5 MiB", "5.0 GiB", "3.0 TiB"]
        );
    }
}
