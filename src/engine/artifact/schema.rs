//! Compiles artifact schemas.

use std::sync::Arc;

use serde_json::Value;

use crate::model::error::{Code, Failure, Result};
use crate::model::id::SchemaId;

/// A schema, ready to validate with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CompiledSchema {
    id: SchemaId,
    value: Arc<Value>,
    validator: Arc<jsonschema::Validator>,
}

impl CompiledSchema {
    /// Compiles `value` as JSON Schema 2020-12.
    ///
    /// # Errors
    /// `schema_invalid` with everything that is wrong.
    pub fn compile(id: &SchemaId, value: &Value) -> Result<Self> {
        let validator =
            jsonschema::validator_for(value).map_err(|e| Failure::new(Code::SchemaInvalid, format!("schema '{id}': {}", e.masked())))?;
        Ok(Self { id: id.clone(), value: Arc::new(value.clone()), validator: Arc::new(validator) })
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &SchemaId {
        &self.id
    }

    /// The schema itself.
    #[must_use]
    pub fn value(&self) -> &Arc<Value> {
        &self.value
    }

    pub(super) fn validator(&self) -> &jsonschema::Validator {
        &self.validator
    }
}
