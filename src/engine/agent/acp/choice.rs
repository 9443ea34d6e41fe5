//! Choosing the model of a session, in each of the ways that programs have for it.

use super::work::SessionError;
use crate::engine::agent::acp::connection::{AcpConnection, OpenSession};
use crate::model::error::{Code, Failure};
use serde_json::{Value, json};

/// How a model is chosen.
enum PermissionChoice {
    /// By this option of the session.
    Option(String),
    /// By the older request that some programs know.
    Model,
}

impl AcpConnection<'_> {
    /// Has the session use a model, if the program offers it.
    pub async fn choose_model(
        &mut self,
        there: &OpenSession,
        model: &str,
    ) -> Result<(), SessionError> {
        let (session, offered) = (&there.session, offered(&there.opened));
        let Some((request, _)) = offered.iter().find(|(_, name)| name == model) else {
            let mut names: Vec<&str> = offered.iter().map(|(_, name)| name.as_str()).collect();
            names.truncate(20);
            let hint = if names.is_empty() {
                "it offers no choice; leave `model` out of the persona, and choose in the program's own settings".to_owned()
            } else {
                format!("it offers: {}", names.join(", "))
            };
            let words = format!(
                "agent program '{}' does not offer the model '{model}'",
                self.agent.name
            );
            return Err(SessionError::Final(
                Failure::new(Code::BackendUnavailable, words).hint(hint),
            ));
        };
        let (method, params) = match request {
            PermissionChoice::Option(id) => (
                "session/set_config_option",
                json!({"sessionId": session, "configId": id, "value": model}),
            ),
            PermissionChoice::Model => (
                "session/set_model",
                json!({"sessionId": session, "modelId": model}),
            ),
        };
        let chosen = self.answered(method, &params, None).await?;
        chosen
            .map(drop)
            .map_err(|refusal| self.refused(method, &refusal))
    }
}

/// The models that a program offers, by the names that choose them.
fn offered(opened: &Value) -> Vec<(PermissionChoice, String)> {
    let mut offered = Vec::new();
    let is_model = |option: &&Value| option["category"] == "model" || option["id"] == "model";
    if let Some(option) = opened["configOptions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(is_model)
    {
        let id = option["id"].as_str().unwrap_or_default();
        for entry in option["options"].as_array().into_iter().flatten() {
            // Entries may stand in groups.
            let within = entry["options"]
                .as_array()
                .map_or_else(|| vec![entry], |group| group.iter().collect());
            let names = within
                .into_iter()
                .filter_map(|entry| entry["value"].as_str());
            offered.extend(
                names.map(|name| (PermissionChoice::Option(id.to_owned()), name.to_owned())),
            );
        }
    }
    let older = opened["models"]["availableModels"]
        .as_array()
        .into_iter()
        .flatten();
    offered.extend(
        older
            .filter_map(|model| model["modelId"].as_str())
            .map(|name| (PermissionChoice::Model, name.to_owned())),
    );
    offered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_in_each_of_the_forms_programs_have() {
        let grouped = json!({"configOptions": [
            {"id": "mode", "category": "mode", "options": [{"value": "build"}]},
            {"id": "m", "category": "model", "options": [{"value": "a"}, {"name": "group", "options": [{"value": "b"}]}]}]});
        let older = json!({"models": {"availableModels": [{"modelId": "c", "name": "C"}], "currentModelId": "c"}});
        let names = |opened: &Value| {
            offered(opened)
                .into_iter()
                .map(|(_, name)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&grouped), ["a", "b"]);
        assert_eq!(names(&older), ["c"]);
        assert!(names(&json!({"sessionId": "s"})).is_empty());
    }
}
