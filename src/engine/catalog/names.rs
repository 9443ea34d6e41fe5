//! Names as operators write them: splitting off versions, and the grammar of schema ids.

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
    let Some((path, version)) = id.split_once('@') else {
        return false;
    };
    let Some((namespace, name)) = path.split_once('/') else {
        return false;
    };
    let version_fits = !version.starts_with(['0', '+']) && version.parse::<u32>().is_ok();
    is_name(namespace) && is_name(name) && version_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_ids_have_two_segments_and_a_version() {
        for good in ["dev/spec@1", "a/b@42"] {
            assert!(is_schema_id(good), "{good}");
        }
        for bad in [
            "dev/spec",
            "spec@1",
            "dev/spec@0",
            "dev/spec@01",
            "dev/spec@+1",
            "dev/spec@x",
            "a/b/c@1",
            "../x@1",
            "dev/ spec@1",
            "/@1",
        ] {
            assert!(!is_schema_id(bad), "{bad}");
        }
    }

    #[test]
    fn versions_split_off_only_when_they_are_numbers() {
        assert_eq!(split_version("a"), Some(("a", None)));
        assert_eq!(split_version("a@2"), Some(("a", Some(2))));
        assert_eq!(split_version("a@x"), None);
    }
}
