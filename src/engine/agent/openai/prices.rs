//! What models cost: a shipped table, and over it the operator's own prices.

use std::collections::BTreeMap;

use crate::model::error::Result;
use crate::model::settings::Price;

/// Prices by model name.
#[derive(Clone, Debug, Default)]
pub struct Prices {}

impl Prices {
    /// The shipped table with `own` laid over it.
    ///
    /// # Errors
    /// `config_invalid` naming every price that is no decimal number of dollars.
    pub fn new(own: &BTreeMap<String, Price>) -> Result<Self> {
        let _ = own;
        Ok(Self {})
    }
}
