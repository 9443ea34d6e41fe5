//! Suggestions for mistyped names: the known name that was probably meant, and the words that offer it.

/// The known name that `name` was probably meant to be.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let scored = known
        .into_iter()
        .map(|candidate| (likeness(&wanted, candidate), candidate));
    let best = scored.fold(None, |best: Option<(f64, &str)>, next| match best {
        Some(kept) if kept.0 >= next.0 => Some(kept),
        _ => Some(next),
    });
    best.filter(|(score, _)| *score >= 0.75)
        .map(|(_, candidate)| candidate)
}

/// `did you mean 'x'?`, or all known names where none is near.
#[must_use]
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("there are {}", known.join(", ")),
    }
}

/// `did you mean 'x'? known: a, b`, or the list alone where none is near; `known` is what `title` calls it.
#[must_use]
pub fn did_you_mean_or_list<'a>(
    name: &str,
    title: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let list = if known.is_empty() {
        "none is known".to_owned()
    } else {
        format!("{title}: {}", known.join(", "))
    };
    match nearest(name, known) {
        Some(near) => format!("did you mean '{near}'? {list}"),
        None => list,
    }
}

// A name without its version is as good as the whole one: `developmnt` means `development@1`.
fn likeness(wanted: &str, candidate: &str) -> f64 {
    let candidate = candidate.to_lowercase();
    let bare = candidate
        .split_once('@')
        .map_or(candidate.as_str(), |(name, _)| name);
    score(wanted, &candidate).max(score(wanted, bare))
}

// Two letters changed places weigh too much in short words, so one slip of the finger counts as near.
fn score(wanted: &str, candidate: &str) -> f64 {
    let one_slip = wanted.len() > 2 && strsim::osa_distance(wanted, candidate) <= 1;
    strsim::jaro_winkler(wanted, candidate).max(if one_slip { 0.9 } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let known = ["architect", "developer", "reviewer"];
        assert_eq!(nearest("architekt", known), Some("architect"));
        assert_eq!(nearest("Reviewer", known), Some("reviewer"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest("dve", ["ops", "dev"]), Some("dev"));
        assert_eq!(
            nearest("developmnt", ["development@1", "bugfix@1"]),
            Some("development@1")
        );
    }

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_the_list() {
        let known = ["base_url", "model"];
        assert_eq!(did_you_mean("base_ulr", known), "did you mean 'base_url'?");
        assert_eq!(did_you_mean("zzz", known), "there are base_url, model");
        assert_eq!(
            did_you_mean_or_list("base_ulr", "fields", known),
            "did you mean 'base_url'? fields: base_url, model"
        );
        assert_eq!(
            did_you_mean_or_list("zzz", "fields", known),
            "fields: base_url, model"
        );
        assert_eq!(did_you_mean_or_list("zzz", "fields", []), "none is known");
    }
}
