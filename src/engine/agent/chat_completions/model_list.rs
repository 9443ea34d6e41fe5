//! What the provider says of its models: prices, windows, what their requests may hold.
//!
//! The list is asked for in the background, at most once a day, and kept as a file in the state folder
//! with its time, so that no start waits for it and none needs the network. A list of another address
//! than the one in the settings says nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::paths::create_private_dir;
use crate::model::error::{Code, Failure, Result};
use crate::model::money::NanoUsd;
use crate::model::settings::ModelPrice;
use crate::model::time::Timestamp;

/// How long a list is good for, in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The longest list file that is read, in bytes.
const FILE_BYTES: u64 = 32 << 20;

/// One model, as the provider describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ListedModel {
    /// In dollars per million tokens.
    pub price: Option<ModelPrice>,
    /// Tokens of question and answer together.
    pub window: Option<u64>,
    /// What requests may hold, by the names of the parameters; absent where it does not say.
    pub parameters: Option<Vec<String>>,
}

/// A list as it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ModelListResponse {
    at: Timestamp,
    base_url: String,
    models: BTreeMap<String, ListedModel>,
}

/// What is known of the models of one provider; shared by everybody who asks.
#[derive(Clone, Debug, Default)]
pub struct ModelList {
    list: Arc<RwLock<ModelListResponse>>,
    file: PathBuf,
    base_url: String,
}

impl ModelList {
    /// Reads the list that lies at `file`; one that is not there, cannot be read or is of another
    /// address is as if it were empty.
    #[must_use]
    pub fn kept(file: &Path, base_url: &str) -> Self {
        let list = read(file)
            .filter(|list| list.base_url == base_url)
            .unwrap_or_default();
        Self {
            list: Arc::new(RwLock::new(list)),
            file: file.to_path_buf(),
            base_url: base_url.to_owned(),
        }
    }

    /// What is known of a model.
    pub(super) fn of(&self, model: &str) -> Option<ListedModel> {
        self.list
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .models
            .get(model)
            .cloned()
    }

    /// Whether the list is older than a day, or of the future.
    pub(super) fn is_old(&self, now: Timestamp) -> bool {
        let at = self.list.read().unwrap_or_else(PoisonError::into_inner).at;
        !(0..DAY_MS).contains(&(now.0 - at.0))
    }

    /// Takes what the provider told, for now and for the next host.
    ///
    /// # Errors
    /// `llm_bad_response` when it is no list; what writing the file says. What was known before stays then.
    pub(super) fn take(&self, told: &Value, now: Timestamp) -> Result<usize> {
        let models = told["data"].as_array().or(told.as_array());
        let models = models.ok_or_else(|| {
            Failure::new(
                Code::LlmBadResponse,
                "the provider's list of models is no list",
            )
        })?;
        let models: BTreeMap<String, ListedModel> = models
            .iter()
            .filter_map(|model| Some((model["id"].as_str()?.to_owned(), listed(model))))
            .collect();
        let list = ModelListResponse {
            at: now,
            base_url: self.base_url.clone(),
            models,
        };
        let count = list.models.len();
        write(&self.file, &list)?;
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = list;
        Ok(count)
    }
}

fn read(file: &Path) -> Option<ModelListResponse> {
    std::fs::metadata(file)
        .ok()
        .filter(|meta| meta.is_file() && meta.len() <= FILE_BYTES)?;
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

fn write(file: &Path, list: &ModelListResponse) -> Result<()> {
    let failed = |error: &std::io::Error| {
        Failure::io(
            format!("cannot keep the list of models in {}", file.display()),
            error,
        )
    };
    let folder = file.parent().unwrap_or(Path::new("."));
    create_private_dir(folder)?;
    let json = serde_json::to_vec(list).map_err(Failure::internal)?;
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
    std::io::Write::write_all(&mut beside, &json).map_err(|error| failed(&error))?;
    beside.persist(file).map_err(|error| failed(&error.error))?;
    Ok(())
}

fn listed(model: &Value) -> ListedModel {
    let window = ["context_length", "max_model_len", "context_window"]
        .iter()
        .find_map(|key| model[*key].as_u64());
    let window = window
        .or_else(|| model["top_provider"]["context_length"].as_u64())
        .filter(|window| *window > 0);
    let parameters = model["supported_parameters"].as_array();
    let parameters = parameters.map(|names| {
        names
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    });
    ListedModel {
        price: price(&model["pricing"]),
        window,
        parameters,
    }
}

/// Dollars for a token, as the provider writes them, in dollars for a million. A price that is not
/// told in full, or is below nothing, is unknown.
fn price(pricing: &Value) -> Option<ModelPrice> {
    let million = |key: &str| {
        let text = pricing[key]
            .as_str()
            .map(str::to_owned)
            .or_else(|| pricing[key].is_number().then(|| pricing[key].to_string()))?;
        let text = text.trim().to_ascii_lowercase();
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let text = format!(
            "{mantissa}e{}",
            exponent.parse::<i32>().ok()?.checked_add(6)?
        );
        NanoUsd::from_decimal(&text).map(|_| text)
    };
    Some(ModelPrice {
        input: million("prompt")?,
        output: million("completion")?,
        cached: million("input_cache_read"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn models(told: &Value) -> (tempfile::TempDir, ModelList) {
        let folder = tempfile::tempdir().unwrap();
        let models = ModelList::kept(&folder.path().join("state/models.json"), "https://one/v1");
        models.take(told, NOW).unwrap();
        (folder, models)
    }

    #[test]
    fn prices_windows_and_parameters_are_read_as_providers_write_them() {
        let (_folder, models) = models(&json!({"data": [
            {"id": "a", "context_length": 200_000, "supported_parameters": ["tools", 7],
             "pricing": {"prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003"}},
            {"id": "free", "pricing": {"prompt": "0", "completion": "0"}, "top_provider": {"context_length": 8192}},
            {"id": "auto", "pricing": {"prompt": "-1", "completion": "-1"}},
            {"id": "half", "pricing": {"prompt": "0.1"}, "max_model_len": 4096},
            {"id": "number", "pricing": {"prompt": 1e-7, "completion": 2.5e-6}},
            {"name": "no id"}, 7
        ]}));
        let price = |input: &str, output: &str, cached: Option<&str>| {
            Some(ModelPrice {
                input: input.to_owned(),
                output: output.to_owned(),
                cached: cached.map(str::to_owned),
            })
        };
        let of = |model: &str| models.of(model).unwrap();
        assert_eq!(
            of("a").price,
            price("0.000003e6", "0.000015e6", Some("0.0000003e6"))
        );
        assert_eq!(
            (of("a").window, of("a").parameters),
            (Some(200_000), Some(vec!["tools".to_owned()]))
        );
        assert_eq!(
            (of("free").price, of("free").window),
            (price("0e6", "0e6", None), Some(8_192))
        );
        assert_eq!(
            (of("auto").price, of("half").price, of("half").window),
            (None, None, Some(4_096))
        );
        assert_eq!(of("number").price, price("1e-1", "2.5e0", None));
        assert_eq!(models.of("no id"), None);
    }

    #[test]
    fn a_list_is_kept_for_the_next_host_and_only_for_its_address() {
        let (folder, models) = models(&json!({"data": [{"id": "a", "context_length": 9}]}));
        let file = folder.path().join("state/models.json");
        assert_eq!(
            ModelList::kept(&file, "https://one/v1").of("a"),
            models.of("a")
        );
        assert_eq!(ModelList::kept(&file, "https://two/v1").of("a"), None);
        std::fs::write(&file, "half of i").unwrap();
        assert_eq!(ModelList::kept(&file, "https://one/v1").of("a"), None);
        assert!(models.take(&json!({"error": "no"}), NOW).is_err());
        assert!(models.of("a").is_some(), "what was known stays");
    }

    #[test]
    fn a_list_is_good_for_a_day() {
        let (_folder, models) = models(&json!([]));
        for (ms, old) in [(0, false), (DAY_MS - 1, false), (DAY_MS, true), (-1, true)] {
            assert_eq!(models.is_old(Timestamp(NOW.0 + ms)), old, "{ms}");
        }
        assert!(ModelList::default().is_old(NOW));
    }
}
