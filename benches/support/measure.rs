//! Shared by all measurements: medians, output of figures, and a directory on the disk of the build
//! (the directory for temporary files may be in memory).

use std::time::Duration;

/// Any error ends the program with its message; no figure is printed then.
pub type BenchResult<T> = Result<T, Box<dyn std::error::Error>>;

/// RatioGoal of a ratio.
#[derive(Clone, Copy)]
pub enum RatioGoal {
    AtMost(f64),
    AtLeast(f64),
    /// No goal: printed to explain another figure.
    None,
}

/// Prints a figure: name, ratio, goal, and whether the goal is met.
pub fn figure(name: &str, ratio: f64, goal: RatioGoal) {
    let (goal, met) = match goal {
        RatioGoal::AtMost(most) => (format!("at most  {most:.2}"), Some(ratio <= most)),
        RatioGoal::AtLeast(least) => (format!("at least {least:.2}"), Some(ratio >= least)),
        RatioGoal::None => (String::new(), None),
    };
    let verdict = match met {
        Some(true) => "ok",
        Some(false) => "miss",
        None => "",
    };
    println!(
        "{}",
        format!("{name:<72} {ratio:>8.2}  {goal:<14}  {verdict}").trim_end()
    );
}

/// Median in seconds; 0 if there are no values.
pub fn median(values: impl IntoIterator<Item = Duration>) -> f64 {
    middle(values.into_iter().map(|value| value.as_secs_f64()))
}

/// Median; 0 if there are no values.
pub fn middle(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Creates a directory for one measurement, deleted on drop.
pub fn folder() -> BenchResult<tempfile::TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}
