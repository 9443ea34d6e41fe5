//! Names that people mistype: splitting off versions, the grammar of schema ids, and the nearest name.

use crate::model::id::is_name;

/// `name` or `name@version`; `None` when what follows `@` is no version.
pub(crate) fn split_version(name: &str) -> Option<(&str, Option<u32>)> {
    match name.split_once('@') {
        None => Some((name, None)),
        Some((name, version)) => Some((name, Some(version.parse().ok()?))),
    }
}

/// Whether `id` is `segment/segment@N`, with N from 1 and without leading zeros.
pub(crate) fn is_schema_id(id: &str) -> bool {
    let Some((path, version)) = id.split_once('@') else { return false };
    let Some((namespace, name)) = path.split_once('/') else { return false };
    let version_fits = !version.starts_with(['0', '+']) && version.parse::<u32>().is_ok();
    is_name(namespace) && is_name(name) && version_fits
}

/// The known name that `name` was probably meant to be.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let scored = known.into_iter().map(|candidate| (likeness(&wanted, candidate), candidate));
    let best = scored.fold(None, |best: Option<(f64, &str)>, next| match best {
        Some(kept) if kept.0 >= next.0 => Some(kept),
        _ => Some(next),
    });
    best.filter(|(score, _)| *score >= 0.75).map(|(_, candidate)| candidate)
}

// A name without its version is as good as the whole one: `developmnt` means `development@1`.
fn likeness(wanted: &str, candidate: &str) -> f64 {
    let candidate = candidate.to_lowercase();
    let bare = candidate.split_once('@').map_or(candidate.as_str(), |(name, _)| name);
    score(wanted, &candidate).max(score(wanted, bare))
}

// Two letters changed places weigh too much in short words, so one slip of the finger counts as near.
fn score(wanted: &str, candidate: &str) -> f64 {
    let one_slip = wanted.len() > 2 && strsim::osa_distance(wanted, candidate) <= 1;
    strsim::jaro_winkler(wanted, candidate).max(if one_slip { 0.9 } else { 0.0 })
}

/// `did you mean 'x'? known: …`, or only the list.
pub(crate) fn suggest_or_list(name: &str, known: &[String]) -> String {
    let list = if known.is_empty() { "none is known".to_owned() } else { format!("known: {}", known.join(", ")) };
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean '{near}'? {list}"),
        None => list,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_ids_have_two_segments_and_a_version() {
        for good in ["dev/spec@1", "a/b@42"] {
            assert!(is_schema_id(good), "{good}");
        }
        for bad in
            ["dev/spec", "spec@1", "dev/spec@0", "dev/spec@01", "dev/spec@+1", "dev/spec@x", "a/b/c@1", "../x@1", "dev/ spec@1", "/@1"]
        {
            assert!(!is_schema_id(bad), "{bad}");
        }
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let known = ["architect", "developer", "reviewer"];
        assert_eq!(nearest("architekt", known), Some("architect"));
        assert_eq!(nearest("Reviewer", known), Some("reviewer"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest("dve", ["ops", "dev"]), Some("dev"));
        assert_eq!(nearest("developmnt", ["development@1", "bugfix@1"]), Some("development@1"));
    }

    #[test]
    fn versions_split_off_only_when_they_are_numbers() {
        assert_eq!(split_version("a"), Some(("a", None)));
        assert_eq!(split_version("a@2"), Some(("a", Some(2))));
        assert_eq!(split_version("a@x"), None);
    }
}
