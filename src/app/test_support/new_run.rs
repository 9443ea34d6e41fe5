//! What the engine would say of a start.

use std::path::Path;

use crate::engine::api::{
    AssignmentPreview, ConsentRequest, CostEstimate, RequestPart, StartPreview, StartRun,
    TrustRequest,
};
use crate::model::error::{Code, Failure};
use crate::model::hash::ContentHash;
use crate::model::money::NanoUsd;
use crate::model::persona::ToolPermission;

/// What the engine would say of a start.
pub fn start_preview(request: &StartRun) -> StartPreview {
    let seat = |role: &str, persona: &str, model: &str, price: Option<i64>, consent: bool| {
        AssignmentPreview {
            role: role.into(),
            persona: Some(
                request
                    .personas
                    .get(&role.into())
                    .cloned()
                    .unwrap_or_else(|| persona.to_owned()),
            ),
            backend: "openai".to_owned(),
            model: Some(model.to_owned()),
            price: price.map(|dollars| {
                (
                    NanoUsd(dollars * NanoUsd::PER_DOLLAR),
                    NanoUsd(dollars * 5 * NanoUsd::PER_DOLLAR),
                )
            }),
            why: "first of 3 with plan, write; on openai, which the role prefers".to_owned(),
            consent: consent.then(|| ConsentRequest {
                persona: persona.to_owned(),
                hash: ContentHash::from_bytes(persona.as_bytes()),
                runs_on: format!("openai, {model}"),
                tools: vec![
                    ("read_file".to_owned(), ToolPermission::Auto),
                    ("execute".to_owned(), ToolPermission::Ask),
                ],
            }),
            choices: vec![persona.to_owned(), "other@2".to_owned()],
        }
    };
    let mut problems = Vec::new();
    if request.requirements.trim().is_empty() {
        problems.push((
            RequestPart::Requirements,
            Failure::new(Code::UsageInvalid, "say what you want made"),
        ));
    }
    if request.base.as_deref() == Some("nowhere") {
        let failure = Failure::new(
            Code::UsageInvalid,
            "the repository has no branch or commit 'nowhere'",
        )
        .hint("its branches: main");
        problems.push((RequestPart::Base, failure));
    }
    StartPreview {
        workflows: [
            ("bugfix@1", "Reproduce, diagnose, fix and verify one defect"),
            (
                "development@1",
                "From a wish to reviewed, verified changes on a branch",
            ),
            (
                "research@1",
                "Answer a question from sources, with findings and a report",
            ),
        ]
        .map(|(name, about)| (name.to_owned(), about.to_owned()))
        .to_vec(),
        seats: vec![
            seat(
                "analyst",
                "analyst@1",
                "anthropic/claude-sonnet-4.5",
                Some(3),
                true,
            ),
            seat(
                "architect",
                "architect@1",
                "anthropic/claude-opus-4",
                Some(15),
                false,
            ),
            seat("developer", "developer@1", "local/unpriced", None, false),
        ],
        phases: 5,
        place: request
            .repo
            .as_ref()
            .map(|repo| crate::engine::api::StartPoint {
                repo: repo.clone(),
                branch: Some("main".to_owned()),
                commit: "3f9c12ab77".to_owned(),
            }),
        thread: request
            .repo
            .as_ref()
            .map(|_| "shop-cart:main#a1b2".to_owned()),
        estimate: CostEstimate::History {
            p50: NanoUsd(410_000_000),
            p90: NanoUsd(920_000_000),
            runs: 12,
        },
        budget: Some(NanoUsd(5_000_000_000)),
        withheld: request
            .repo
            .as_ref()
            .filter(|repo| repo.ends_with("theirs"))
            .map(|repo| Box::new(repository_trust(repo))),
        problems,
    }
}

/// What a repository of somebody else brings.
fn repository_trust(top: &Path) -> TrustRequest {
    TrustRequest {
        top: top.to_owned(),
        hash: ContentHash::from_bytes(b"theirs"),
        changed: false,
        files: 3,
        workflows: vec![(
            "release@2".to_owned(),
            ["draft", "check", "ship"].map(str::to_owned).to_vec(),
        )],
        personas: vec![ConsentRequest {
            persona: "releaser@1".to_owned(),
            hash: ContentHash::from_bytes(b"releaser"),
            runs_on: "openai, its default model".to_owned(),
            tools: vec![("execute".to_owned(), ToolPermission::Ask)],
        }],
        schemas: vec!["ours/note@1".to_owned()],
        problems: Vec::new(),
    }
}
