//! Suggestions for misspelt names.

/// The known name closest to `name`, when it is close enough to be meant.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let best = known.into_iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    best.max_by(|(a, _), (b, _)| a.total_cmp(b)).filter(|(likeness, _)| *likeness > 0.8).map(|(_, candidate)| candidate)
}

/// `did you mean 'x'?`, or all known names where none is close.
#[must_use]
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean '{meant}'?"),
        None => format!("there are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_the_list() {
        assert_eq!(did_you_mean("base_ulr", ["base_url", "model"]), "did you mean 'base_url'?");
        assert_eq!(did_you_mean("zzz", ["base_url", "model"]), "there are base_url, model");
    }
}
