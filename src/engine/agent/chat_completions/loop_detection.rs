//! Notices an agent that goes in circles: the same calls with the same results, again and again.

use serde_json::Value;

/// How often the same comes round before the agent is stopped.
pub(super) const STOPPED_AT: usize = 5;
/// How often before it is told.
pub(super) const TOLD_AT: usize = 3;
/// The longest circle that is looked for, in calls.
const LONGEST: usize = 3;

/// One call with its result, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoopStep {
    tool: String,
    arguments: String,
    result: String,
}

impl LoopStep {
    /// A call and its result. Key order and spacing of the arguments do not matter.
    pub(super) fn new(tool: &str, arguments: &str, result: &str) -> Self {
        let canonical = serde_json::from_str::<Value>(arguments)
            .ok()
            .and_then(|value| serde_json_canonicalizer::to_string(&value).ok());
        Self {
            tool: tool.to_owned(),
            arguments: canonical.unwrap_or_else(|| arguments.to_owned()),
            result: result.to_owned(),
        }
    }
}

/// The tools of the circle that `steps` end in, if they went round so often.
pub(super) fn detect_loop(steps: &[LoopStep], rounds: usize) -> Option<String> {
    (1..=LONGEST).find_map(|length| {
        let tail = &steps[steps.len().checked_sub(length * rounds)?..];
        let round = &tail[..length];
        let same = tail.chunks(length).all(|next| next == round);
        same.then(|| {
            round
                .iter()
                .map(|step| step.tool.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(pattern: &str) -> Vec<LoopStep> {
        pattern
            .chars()
            .map(|c| LoopStep::new(&c.to_string(), r#"{"a":1,"b":2}"#, "same"))
            .collect()
    }

    #[test]
    fn five_rounds_of_the_same_are_a_circle_and_four_are_not() {
        for (pattern, found) in [
            ("", None),
            ("aaaa", None),
            ("aaaaa", Some("a")),
            ("bcaaaaa", Some("a")),
            ("aaaaab", None),
            ("abababab", None),
            ("xababababab", Some("a, b")),
            ("abcabcabcabcabc", Some("a, b, c")),
            ("aabaabaabaab", None),
        ] {
            assert_eq!(
                detect_loop(&steps(pattern), STOPPED_AT).as_deref(),
                found,
                "{pattern}"
            );
        }
    }

    #[test]
    fn only_the_same_arguments_with_the_same_result_count() {
        let mut same = steps("aaaa");
        same.push(LoopStep::new("a", r#"{ "b": 2, "a": 1 }"#, "same"));
        assert!(
            detect_loop(&same, STOPPED_AT).is_some(),
            "key order does not matter"
        );
        same[2] = LoopStep::new("a", r#"{"a":1,"b":2}"#, "progress");
        assert!(detect_loop(&same, STOPPED_AT).is_none());
        same[2] = LoopStep::new("a", r#"{"a":1,"b":3}"#, "same");
        assert!(detect_loop(&same, STOPPED_AT).is_none());
    }
}
