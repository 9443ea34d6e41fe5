//! What stands in the form of a new run, as it is kept beyond this process.

use std::collections::BTreeMap;

use crate::app::screens::new_run::state::NewRunForm;
use crate::app::text::text_input::TextInput;
use crate::model::id::RoleId;
use crate::model::state::Strategy;
use serde::{Deserialize, Serialize};

/// See the module. Fields that a file does not have are as in an empty form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields of the form")]
pub struct FormDraft {
    pub workflow: String,
    pub repo: String,
    pub base: String,
    pub wish: String,
    pub personas: BTreeMap<RoleId, String>,
    pub thread: String,
    pub strategy: Option<Strategy>,
    pub budget: String,
    pub rehearse: bool,
}

impl FormDraft {
    /// What stands in a form; none where nothing was changed in it since it was empty.
    #[must_use]
    pub fn from_form(form: &NewRunForm, here: Option<&str>) -> Option<Self> {
        let kept = Self::capture(form);
        (kept != Self::capture(&NewRunForm::new(here))).then_some(kept)
    }

    fn capture(form: &NewRunForm) -> Self {
        Self {
            workflow: form.workflow.clone(),
            repo: form.repo.text(),
            base: form.base.text(),
            wish: form.wish.text(),
            personas: form.personas.clone(),
            thread: form.thread.text(),
            strategy: Some(form.strategy).filter(|strategy| *strategy != Strategy::Reject),
            budget: form.budget.text(),
            rehearse: form.rehearse,
        }
    }

    /// Puts it into a form. What was written there meanwhile stands behind the kept wish.
    pub fn apply_to(self, form: &mut NewRunForm) {
        let meanwhile = form.wish.text();
        if !self.workflow.is_empty() {
            form.workflow = self.workflow;
        }
        (form.repo, form.base) = (
            TextInput::from_text(&self.repo),
            TextInput::from_text(&self.base),
        );
        (form.thread, form.budget) = (
            TextInput::from_text(&self.thread),
            TextInput::from_text(&self.budget),
        );
        form.wish = TextInput::from_text(&(self.wish + &meanwhile));
        (form.personas, form.rehearse) = (self.personas, self.rehearse);
        form.strategy = self.strategy.unwrap_or(Strategy::Reject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_whole_and_an_untouched_form_is_not_kept() {
        let here = Some("/home/op/shop-cart");
        assert_eq!(FormDraft::from_form(&NewRunForm::new(here), here), None);
        let mut form = NewRunForm::new(here);
        (form.wish, form.thread, form.budget) = (
            TextInput::from_text("a cart\nin cents"),
            TextInput::from_text("lane"),
            TextInput::from_text("2.50"),
        );
        (form.strategy, form.rehearse, form.workflow) =
            (Strategy::Interrupt, true, "bugfix@1".to_owned());
        form.personas = [("analyst".into(), "other@2".to_owned())].into();
        let kept = FormDraft::from_form(&form, here).unwrap();
        let text = serde_json::to_string(&kept).unwrap();
        let mut again = NewRunForm::new(None);
        serde_json::from_str::<FormDraft>(&text)
            .unwrap()
            .apply_to(&mut again);
        assert_eq!(FormDraft::from_form(&again, None).unwrap(), kept);
    }

    #[test]
    fn what_was_typed_before_the_draft_came_is_not_lost() {
        let mut form = NewRunForm::new(None);
        form.wish = TextInput::from_text("x");
        FormDraft {
            wish: "a cart".to_owned(),
            ..FormDraft::default()
        }
        .apply_to(&mut form);
        assert_eq!(
            (form.wish.text().as_str(), form.workflow.as_str()),
            ("a cartx", "development")
        );
    }
}
