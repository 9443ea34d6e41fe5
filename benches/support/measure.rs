//! What every measurement here shares: medians, the line a figure is printed as, and a folder on the
//! disk that the build lies on (a folder for temporary files may be memory).

use std::time::Duration;

/// Anything that goes wrong ends the program with its words; no figure is printed then.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What a ratio should be.
#[derive(Clone, Copy)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// Told to explain another figure.
    None,
}

/// Prints a figure: name, ratio, goal, and whether it is met.
pub fn figure(name: &str, ratio: f64, goal: Goal) {
    let (goal, met) = match goal {
        Goal::AtMost(most) => (format!("at most  {most:.2}"), Some(ratio <= most)),
        Goal::AtLeast(least) => (format!("at least {least:.2}"), Some(ratio >= least)),
        Goal::None => (String::new(), None),
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

/// The middle value, in seconds; 0 of nothing.
pub fn median(values: impl IntoIterator<Item = Duration>) -> f64 {
    middle(values.into_iter().map(|value| value.as_secs_f64()))
}

/// The middle value; 0 of nothing.
pub fn middle(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// A folder for one measurement, gone with the value.
pub fn folder() -> Outcome<tempfile::TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}
