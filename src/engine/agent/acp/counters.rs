//! What a prompt cost, from counters that agent programs keep.
//!
//! Programs count money for the whole session, and some begin anew when a session is loaded. So a counter
//! that is not less than what was known is continued, and one that is less has begun anew. Money that
//! is no US dollars is not counted. Tokens are told with the answer to a prompt, for that prompt.

use serde_json::Value;

use crate::model::event::TokenUsage;
use crate::model::money::NanoUsd;

/// The counters of a session as they were told last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageCounters {
    /// Everything paid in the session; absent while nothing was told.
    pub cost: Option<NanoUsd>,
    /// Everything used in the session, summed up.
    pub tokens: TokenUsage,
}

/// What has been told while one prompt was worked on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedUsage {
    cost: Option<NanoUsd>,
    tokens: Option<TokenUsage>,
}

impl ReportedUsage {
    /// Takes in a cost as `session/update` tells it.
    pub fn cost(&mut self, amount: f64, currency: &str) {
        if currency.eq_ignore_ascii_case("USD") && amount >= 0.0 {
            self.cost = NanoUsd::from_decimal(&format!("{amount:.9}")).or(self.cost);
        }
    }

    /// Takes in the `usage` of an answered prompt.
    pub fn usage(&mut self, usage: &Value) {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or(0);
        if !usage.is_object() {
            return;
        }
        let cached = count("cachedReadTokens");
        // Ours counts what was read from the cache and what was written to it as sent.
        let input = count("inputTokens")
            .saturating_add(cached)
            .saturating_add(count("cachedWriteTokens"));
        self.tokens = Some(TokenUsage {
            input,
            output: count("outputTokens"),
            cached,
            reasoning: count("thoughtTokens"),
        });
    }

    /// What the prompt cost and used, and the counters from now on. The cost is unknown where none was told.
    #[must_use]
    pub fn since(&self, before: UsageCounters) -> (Option<NanoUsd>, TokenUsage, UsageCounters) {
        let cost = self
            .cost
            .map(|now| NanoUsd(grown(before.cost.map_or(0, |cost| cost.0), now.0)));
        let tokens = self.tokens.unwrap_or_default();
        (
            cost,
            tokens,
            UsageCounters {
                cost: self.cost.or(before.cost),
                tokens: sum(before.tokens, tokens),
            },
        )
    }
}

fn grown(before: i64, now: i64) -> i64 {
    if now >= before { now - before } else { now }
}

fn sum(before: TokenUsage, more: TokenUsage) -> TokenUsage {
    TokenUsage {
        input: before.input.saturating_add(more.input),
        output: before.output.saturating_add(more.output),
        cached: before.cached.saturating_add(more.cached),
        reasoning: before.reasoning.saturating_add(more.reasoning),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cost_that_goes_on_is_counted_once_and_one_that_begins_anew_in_full() {
        let mut known = UsageCounters::default();
        for (amount, expected) in [
            (0.01, 10_000_000),
            (0.03, 20_000_000),
            (0.03, 0),
            (0.005, 5_000_000),
            (0.006, 1_000_000),
        ] {
            let mut told = ReportedUsage::default();
            told.cost(amount, "USD");
            let (cost, _, after) = told.since(known);
            assert_eq!(cost, Some(NanoUsd(expected)), "{amount}");
            known = after;
        }
        assert_eq!(
            ReportedUsage::default().since(known),
            (None, TokenUsage::default(), known),
            "what is not told is unknown, and forgets nothing"
        );
    }

    #[test]
    fn the_last_of_several_tellings_counts_and_other_money_does_not() {
        let mut told = ReportedUsage::default();
        for (amount, currency) in [
            (1.0, "USD"),
            (2.0, "usd"),
            (9.0, "EUR"),
            (-1.0, "USD"),
            (f64::NAN, "USD"),
            (f64::INFINITY, "USD"),
        ] {
            told.cost(amount, currency);
        }
        assert_eq!(
            told.since(UsageCounters::default()).0,
            Some(NanoUsd(2_000_000_000))
        );
    }

    #[test]
    fn tokens_are_those_of_the_prompt_and_the_session_has_their_sum() {
        let mut told = ReportedUsage::default();
        told.usage(&json!({"totalTokens": 19, "inputTokens": 10, "outputTokens": 4, "cachedReadTokens": 5, "thoughtTokens": null}));
        let (_, tokens, known) = told.since(UsageCounters::default());
        assert_eq!(
            tokens,
            TokenUsage {
                input: 15,
                output: 4,
                cached: 5,
                reasoning: 0
            }
        );
        told.usage(&json!({"inputTokens": 7, "outputTokens": 9}));
        let (_, tokens, known) = told.since(known);
        assert_eq!(
            tokens,
            TokenUsage {
                input: 7,
                output: 9,
                cached: 0,
                reasoning: 0
            }
        );
        assert_eq!(
            known.tokens,
            TokenUsage {
                input: 22,
                output: 13,
                cached: 5,
                reasoning: 0
            }
        );
        told.usage(&json!("many"));
        assert_eq!(told.since(known).1.input, 7, "nonsense is not taken in");
    }
}
