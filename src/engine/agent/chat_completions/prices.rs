//! What models cost: the operator's own prices, else the provider's list, else a shipped table.
//!
//! Only for what the provider does not tell itself: its own word on a call always wins. A model that
//! stands nowhere has no known price, which is not the same as costing nothing.

use std::collections::BTreeMap;

use super::model_list::ModelList;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::TokenUsage;
use crate::model::money::NanoUsd;
use crate::model::settings::ModelPrice;

const SHIPPED: &str = include_str!("../openai/prices.json");

/// What an answer is assumed to need when the persona sets no limit, in tokens.
const ASSUMED_OUTPUT: u64 = 4096;
/// Bytes of request for one token: few enough that the reserve is rather too large.
pub(super) const BYTES_PER_TOKEN: u64 = 3;

/// Prices by model name.
#[derive(Clone, Debug, Default)]
pub struct PriceTable {
    own: BTreeMap<String, PerMillion>,
    shipped: BTreeMap<String, PerMillion>,
    models: ModelList,
}

/// Nano-dollars for a million tokens.
#[derive(Clone, Copy, Debug)]
struct PerMillion {
    input: NanoUsd,
    output: NanoUsd,
    cached: NanoUsd,
}

impl PriceTable {
    /// The shipped table, and over it `own`.
    ///
    /// # Errors
    /// `config_invalid` naming every price that is no decimal number of dollars.
    pub fn new(own: &BTreeMap<String, ModelPrice>) -> Result<Self> {
        let shipped: BTreeMap<String, ModelPrice> = serde_json::from_str(SHIPPED)
            .map_err(|error| Failure::internal(format!("the shipped prices: {error}")))?;
        let mut mistakes = Vec::new();
        let mut read = |table: &BTreeMap<String, ModelPrice>| {
            let mut by_model = BTreeMap::new();
            for (model, price) in table {
                match per_million(price) {
                    Ok(price) => drop(by_model.insert(model.clone(), price)),
                    Err(field) => mistakes.push(format!("prices.\"{model}\".{field}")),
                }
            }
            by_model
        };
        let (shipped, own) = (read(&shipped), read(own));
        if mistakes.is_empty() {
            return Ok(Self {
                own,
                shipped,
                models: ModelList::default(),
            });
        }
        Err(Failure::new(
            Code::ConfigInvalid,
            format!("no decimal number of dollars: {}", mistakes.join(", ")),
        )
        .hint("write prices as text in dollars per million tokens, such as \"2.50\""))
    }

    /// Lays the provider's own list between the two.
    #[must_use]
    pub fn knowing(mut self, models: ModelList) -> Self {
        self.models = models;
        self
    }

    /// The provider's own list.
    pub(super) fn models(&self) -> &ModelList {
        &self.models
    }

    fn of(&self, model: &str) -> Option<PerMillion> {
        let listed = || {
            self.models
                .of(model)?
                .price
                .and_then(|price| per_million(&price).ok())
        };
        self.own
            .get(model)
            .copied()
            .or_else(listed)
            .or_else(|| self.shipped.get(model).copied())
    }

    /// What a million tokens cost, sent and received; absent when the price is unknown.
    #[must_use]
    pub fn per_million(&self, model: &str) -> Option<(NanoUsd, NanoUsd)> {
        self.of(model).map(|price| (price.input, price.output))
    }

    /// What `tokens` cost; absent when the price is unknown.
    #[must_use]
    pub fn cost(&self, model: &str, tokens: TokenUsage) -> Option<NanoUsd> {
        let price = self.of(model)?;
        let cached = tokens.cached.min(tokens.input);
        let parts = [
            (tokens.input - cached, price.input),
            (cached, price.cached),
            (tokens.output, price.output),
        ];
        let millionths: i128 = parts
            .iter()
            .map(|(count, price)| i128::from(*count) * i128::from(price.0))
            .sum();
        i64::try_from(
            millionths.div_euclid(1_000_000) + i128::from(millionths.rem_euclid(1_000_000) != 0),
        )
        .ok()
        .map(NanoUsd)
    }

    /// What to set aside for a request of `bytes` before it is sent; absent when the price is unknown.
    #[must_use]
    pub fn reserve(&self, model: &str, bytes: usize, max_tokens: Option<u32>) -> Option<NanoUsd> {
        let input = (bytes as u64).div_ceil(BYTES_PER_TOKEN);
        let output = max_tokens.map_or(ASSUMED_OUTPUT, u64::from);
        self.cost(
            model,
            TokenUsage {
                input,
                output,
                ..TokenUsage::default()
            },
        )
    }
}

fn per_million(price: &ModelPrice) -> Result<PerMillion, &'static str> {
    let read = |text: &str, field| NanoUsd::from_decimal(text).ok_or(field);
    let input = read(&price.input, "input")?;
    let cached = price
        .cached
        .as_deref()
        .map_or(Ok(input), |text| read(text, "cached"))?;
    Ok(PerMillion {
        input,
        output: read(&price.output, "output")?,
        cached,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: &str, output: &str) -> ModelPrice {
        ModelPrice {
            input: input.to_owned(),
            output: output.to_owned(),
            cached: None,
        }
    }

    #[test]
    fn own_prices_win_and_unknown_models_have_none() {
        let tokens = TokenUsage {
            input: 1_000,
            output: 100,
            cached: 400,
            reasoning: 0,
        };
        let shipped = PriceTable::new(&BTreeMap::new()).unwrap();
        // 600 × 3 $/M + 400 × 0.3 $/M + 100 × 15 $/M
        assert_eq!(
            shipped.cost("anthropic/claude-sonnet-4.5", tokens),
            Some(NanoUsd(3_420_000))
        );
        assert_eq!(shipped.cost("someone/else", tokens), None);
        let own = BTreeMap::from([
            ("anthropic/claude-sonnet-4.5".to_owned(), price("1", "0")),
            ("local".to_owned(), price("0", "0")),
        ]);
        let own = PriceTable::new(&own).unwrap();
        assert_eq!(
            own.cost("anthropic/claude-sonnet-4.5", tokens),
            Some(NanoUsd(1_000_000))
        );
        assert_eq!(own.cost("local", tokens), Some(NanoUsd(0)));
    }

    #[test]
    fn the_providers_list_stands_between_own_prices_and_shipped_ones() {
        let folder = tempfile::tempdir().unwrap();
        let models = ModelList::kept(&folder.path().join("models.json"), "http://x");
        let listed = |id: &str, price: &str| serde_json::json!({"id": id, "pricing": {"prompt": price, "completion": "0"}});
        let told = serde_json::json!([
            listed("anthropic/claude-sonnet-4.5", "0.000004"),
            listed("mine", "1"),
            listed("new", "0.000000001")
        ]);
        models
            .take(&told, crate::model::time::Timestamp(0))
            .unwrap();
        let prices = PriceTable::new(&BTreeMap::from([("mine".to_owned(), price("2", "0"))]))
            .unwrap()
            .knowing(models);
        let million = TokenUsage {
            input: 1_000_000,
            ..TokenUsage::default()
        };
        let cost = |model: &str| prices.cost(model, million);
        assert_eq!(
            cost("anthropic/claude-sonnet-4.5"),
            Some(NanoUsd(4_000_000_000)),
            "the list is newer than what ships"
        );
        assert_eq!(
            (cost("mine"), cost("new")),
            (Some(NanoUsd(2_000_000_000)), Some(NanoUsd(1_000_000)))
        );
        assert_eq!(cost("unknown"), None);
    }

    #[test]
    fn part_of_a_nano_dollar_counts_as_a_whole_one() {
        let prices =
            PriceTable::new(&BTreeMap::from([("m".to_owned(), price("0.0000005", "0"))])).unwrap();
        assert_eq!(
            prices.cost(
                "m",
                TokenUsage {
                    input: 1,
                    ..TokenUsage::default()
                }
            ),
            Some(NanoUsd(1))
        );
    }

    #[test]
    fn a_reserve_covers_the_request_and_the_longest_answer() {
        let prices =
            PriceTable::new(&BTreeMap::from([("m".to_owned(), price("3", "10"))])).unwrap();
        assert_eq!(
            prices.reserve("m", 3_000, Some(500)),
            Some(NanoUsd(8_000_000))
        );
        assert_eq!(
            prices.reserve("m", 3_001, None),
            Some(NanoUsd(1_001 * 3_000 + 4_096 * 10_000))
        );
        assert_eq!(prices.reserve("x", 3_000, Some(500)), None);
    }

    #[test]
    fn every_bad_price_is_named() {
        let own = BTreeMap::from([
            ("a".to_owned(), price("cheap", "1")),
            ("b".to_owned(), price("1", "-1")),
        ]);
        let failure = PriceTable::new(&own).unwrap_err();
        assert_eq!(failure.code, Code::ConfigInvalid);
        assert!(
            failure
                .message
                .ends_with("prices.\"a\".input, prices.\"b\".output"),
            "{}",
            failure.message
        );
    }
}
