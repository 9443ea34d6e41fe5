//! What an agent program asks of us while it works: files, and permissions.
//!
//! Files go through the worktree's tools, with their confinement, limits and permissions. A permission
//! is answered from the persona's own table: the program's kinds of tools stand for ours. Nothing else
//! is offered, so anything else is refused by the protocol.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::engine::agent::FinishedCall;
use crate::engine::agent::acp::transport::RpcRefusal;
use crate::engine::agent::acp::updates::{one_line, word};
use crate::engine::agent::tools::{ToolReply, Toolbox, not_permitted};
use crate::model::error::{Code, Failure};
use crate::model::event::ToolOutcome;
use crate::model::hash::ContentHash;
use crate::model::id::PhaseKey;
use crate::model::persona::{Persona, ToolPermission};
use crate::model::question::{ToolPermit, ToolQuestion, answer_for};
use agent_client_protocol_schema::v1::{
    PermissionOption, PermissionOptionKind, ReadTextFileRequest, RequestPermissionRequest,
    ToolCallContent, ToolKind, WriteTextFileRequest,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The protocol's code for a method that is not there.
const NO_SUCH_METHOD: i64 = -32601;
/// The protocol's code for parameters that make no sense.
const BAD_PARAMS: i64 = -32602;
/// The protocol's code for a resource that is not there.
const NOT_FOUND: i64 = -32002;

/// The longest thing that the operator is shown, in bytes.
const MAX_WHOLE_BYTES: usize = 256 * 1024;

/// What a request comes to.
pub struct ServedRequest {
    /// What the program is answered.
    pub answer: Result<Value, RpcRefusal>,
    /// What is recorded of it: the arguments, and what it came to.
    pub record: Option<(String, FinishedCall)>,
    /// What the operator must be asked first.
    pub asks: Option<ToolQuestion>,
}

/// Whose word counts for what a program asks.
pub struct RequestTable<'a> {
    /// The persona, with its permissions.
    pub persona: &'a Persona,
    /// In which phase.
    pub phase: &'a PhaseKey,
    /// What the operator has answered in this run.
    pub permits: &'a [ToolPermit],
    /// Calls that were allowed for once in this life of the program. An answer for once is for one of them.
    pub allowed: &'a Mutex<BTreeMap<String, u32>>,
}

/// Serves one request.
pub async fn serve(
    tools: &Toolbox,
    table: &RequestTable<'_>,
    method: &str,
    params: Value,
) -> ServedRequest {
    match method {
        "fs/read_text_file" => match read::<ReadTextFileRequest>(params) {
            Ok(request) => {
                let path = request.path.to_string_lossy();
                let (reply, text) = tools.serve_read(&path, request.line, request.limit).await;
                let answer = text
                    .map(|text| json!({ "content": text }))
                    .ok_or_else(|| refused(&reply));
                ServedRequest {
                    answer,
                    record: Some((json!({"path": path}).to_string(), done("read_file", reply))),
                    asks: None,
                }
            }
            Err(refusal) => ServedRequest {
                answer: Err(refusal),
                record: None,
                asks: None,
            },
        },
        "fs/write_text_file" => match read::<WriteTextFileRequest>(params) {
            Ok(request) => {
                let path = request.path.to_string_lossy();
                let arguments = json!({"path": path, "bytes": request.content.len()}).to_string();
                let reply = tools.serve_write(&path, request.content).await;
                let answer = if reply.outcome == ToolOutcome::Ok {
                    Ok(json!({}))
                } else {
                    Err(refused(&reply))
                };
                ServedRequest {
                    answer,
                    record: Some((arguments, done("write_file", reply))),
                    asks: None,
                }
            }
            Err(refusal) => ServedRequest {
                answer: Err(refusal),
                record: None,
                asks: None,
            },
        },
        "session/request_permission" => match read::<RequestPermissionRequest>(params) {
            Ok(request) => permission(tools, table, &request),
            Err(refusal) => ServedRequest {
                answer: Err(refusal),
                record: None,
                asks: None,
            },
        },
        other => {
            let message = format!("'{}' is not offered here", other.escape_debug());
            ServedRequest {
                answer: Err(RpcRefusal {
                    code: NO_SUCH_METHOD,
                    message,
                    data: Value::Null,
                }),
                record: None,
                asks: None,
            }
        }
    }
}

/// What a request for permission is about.
struct AskedPermission {
    /// Our tool that stands for it; absent where none does.
    tool: Option<&'static str>,
    kind: &'static str,
    target: String,
    detail: String,
    /// Everything that is told of it, for the operator.
    whole: String,
}

fn permission(
    tools: &Toolbox,
    table: &RequestTable<'_>,
    request: &RequestPermissionRequest,
) -> ServedRequest {
    let persona = table.persona;
    let asked = asked(persona, request);
    let no = |failure: Failure| {
        let reply = ToolReply {
            target: asked.target.clone(),
            outcome: ToolOutcome::Error,
            result: failure.message.clone(),
            denied: Some(failure),
            whole: None,
            duration_ms: 0,
        };
        let kinds = [
            PermissionOptionKind::RejectOnce,
            PermissionOptionKind::RejectAlways,
        ];
        ServedRequest {
            answer: Ok(outcome(&request.options, kinds)),
            record: Some((asked.detail.clone(), done(asked.kind, reply))),
            asks: None,
        }
    };
    let yes = || {
        // Only for this once: what is allowed is decided here each time, and never by the program.
        let kinds = [
            PermissionOptionKind::AllowOnce,
            PermissionOptionKind::AllowAlways,
        ];
        ServedRequest {
            answer: Ok(outcome(&request.options, kinds)),
            record: None,
            asks: None,
        }
    };
    if let Some(outside) = outside(tools, request) {
        return no(outside);
    }
    let permission = asked
        .tool
        .map_or(Some(ToolPermission::Auto), |tool| given(persona, tool));
    match (permission, asked.tool) {
        (Some(ToolPermission::Auto), _) => yes(),
        (Some(ToolPermission::Ask), Some(tool)) => match table.word(tool, &asked) {
            PermissionAnswer::Yes => yes(),
            PermissionAnswer::No(comment) => no(Failure::new(
                Code::ToolNotPermitted,
                format!("the operator refused '{tool}': {comment}"),
            )
            .hint("work without it")),
            // The prompt is called off, and taken up again with the answer.
            PermissionAnswer::Open(question) => ServedRequest {
                answer: Ok(json!({"outcome": {"outcome": "cancelled"}})),
                record: None,
                asks: Some(question),
            },
        },
        (_, tool) => no(not_permitted(
            &persona.name,
            tool.unwrap_or(asked.kind),
            &asked.detail,
        )),
    }
}

/// What the operator has said of a call.
enum PermissionAnswer {
    Yes,
    No(String),
    Open(ToolQuestion),
}

impl RequestTable<'_> {
    /// A call is known by what it does: after an answer the program asks for it anew.
    fn word(&self, tool: &str, asked: &AskedPermission) -> PermissionAnswer {
        let hash = ContentHash::from_bytes(format!("{tool}\n{}", asked.whole).as_bytes());
        let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        let time = allowed.get(hash.as_str()).copied().unwrap_or(0) + 1;
        let call = format!("acp:{}:{time}", hash.as_str());
        match answer_for(self.permits, self.phase, tool, &call) {
            Some(permit) if permit.allowed => {
                allowed.insert(hash.as_str().to_owned(), time);
                PermissionAnswer::Yes
            }
            Some(permit) => PermissionAnswer::No(permit.comment.clone()),
            None => PermissionAnswer::Open(ToolQuestion {
                call,
                tool: tool.to_owned(),
                target: asked.target.clone(),
                detail: asked.whole.clone(),
            }),
        }
    }
}

fn asked(persona: &Persona, request: &RequestPermissionRequest) -> AskedPermission {
    let fields = &request.tool_call.fields;
    let kind = fields.kind.unwrap_or(ToolKind::Other);
    let title = one_line(fields.title.as_deref().unwrap_or_default());
    let place = fields
        .locations
        .as_ref()
        .and_then(|places| places.first())
        .map(|place| one_line(&place.path.to_string_lossy()));
    let detail = fields
        .raw_input
        .as_ref()
        .map_or_else(|| title.clone(), ToString::to_string);
    let input = fields
        .raw_input
        .as_ref()
        .map(|input| serde_json::to_string_pretty(input).unwrap_or_default());
    let whole = [Some(title.clone()), input]
        .into_iter()
        .flatten()
        .chain(diffs(request))
        .collect::<Vec<_>>()
        .join("\n");
    AskedPermission {
        tool: stands_for(persona, kind),
        kind: word(kind),
        target: place.unwrap_or(title),
        detail: one_line(&detail),
        whole: cut(whole),
    }
}

/// Our tool that a kind of theirs stands for. What is not known may do anything, and so does a command.
fn stands_for(persona: &Persona, kind: ToolKind) -> Option<&'static str> {
    match kind {
        ToolKind::Think => None,
        ToolKind::Read => Some("read_file"),
        ToolKind::Search => Some("grep"),
        ToolKind::Edit | ToolKind::Delete | ToolKind::Move => {
            Some(if given(persona, "edit_file").is_some() {
                "edit_file"
            } else {
                "write_file"
            })
        }
        _ => Some("execute"),
    }
}

/// What the persona says of a tool; absent when it is not given the tool.
fn given(persona: &Persona, tool: &str) -> Option<ToolPermission> {
    persona
        .tools
        .iter()
        .any(|given| given == tool)
        .then(|| persona.permission(tool))
}

/// Why a call that changes files is refused whatever the persona may do: one of them lies outside.
fn outside(tools: &Toolbox, request: &RequestPermissionRequest) -> Option<Failure> {
    let fields = &request.tool_call.fields;
    if !matches!(
        fields.kind,
        Some(ToolKind::Edit | ToolKind::Delete | ToolKind::Move)
    ) {
        return None;
    }
    let places = fields
        .locations
        .iter()
        .flatten()
        .map(|place| place.path.to_string_lossy().into_owned());
    let diffs = fields
        .content
        .iter()
        .flatten()
        .filter_map(|content| match content {
            ToolCallContent::Diff(diff) => Some(diff.path.to_string_lossy().into_owned()),
            _ => None,
        });
    places
        .chain(diffs)
        .find_map(|path| tools.within(&path).err())
}

/// The changes that a request shows, as diffs.
fn diffs(request: &RequestPermissionRequest) -> impl Iterator<Item = String> {
    request
        .tool_call
        .fields
        .content
        .iter()
        .flatten()
        .filter_map(|content| match content {
            ToolCallContent::Diff(diff) => {
                let (before, path) = (
                    diff.old_text.as_deref().unwrap_or_default(),
                    diff.path.display().to_string(),
                );
                Some(
                    similar::TextDiff::from_lines(before, &diff.new_text)
                        .unified_diff()
                        .context_radius(3)
                        .header(&path, &path)
                        .to_string(),
                )
            }
            _ => None,
        })
}

/// More could not be reviewed.
fn cut(mut whole: String) -> String {
    if whole.len() > MAX_WHOLE_BYTES {
        let gone = whole.len() - whole.floor_char_boundary(MAX_WHOLE_BYTES);
        whole.truncate(whole.len() - gone);
        whole.push_str(&format!("\n[... {gone} more bytes that are not shown ...]"));
    }
    whole
}

/// The first option of the first kind that is offered; a request that offers neither is cancelled.
fn outcome(options: &[PermissionOption], kinds: [PermissionOptionKind; 2]) -> Value {
    let chosen = kinds
        .iter()
        .find_map(|kind| options.iter().find(|option| option.kind == *kind));
    match chosen {
        Some(option) => json!({"outcome": {"outcome": "selected", "optionId": option.option_id}}),
        None => json!({"outcome": {"outcome": "cancelled"}}),
    }
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, RpcRefusal> {
    serde_json::from_value(params).map_err(|error| RpcRefusal {
        code: BAD_PARAMS,
        message: error.to_string(),
        data: Value::Null,
    })
}

/// Programs know a file that is not there by these words, which the protocol's own libraries use.
fn refused(reply: &ToolReply) -> RpcRefusal {
    if reply.denied.is_some() {
        return RpcRefusal {
            code: BAD_PARAMS,
            message: reply.result.clone(),
            data: Value::Null,
        };
    }
    RpcRefusal {
        code: NOT_FOUND,
        message: format!("Resource not found: {}", reply.result),
        data: Value::Null,
    }
}

fn done(tool: &str, reply: ToolReply) -> FinishedCall {
    FinishedCall {
        call_id: String::new(),
        tool: tool.to_owned(),
        target: reply.target,
        outcome: reply.outcome,
        denied: reply.denied,
        result: reply.result,
        duration_ms: reply.duration_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolbox(persona: Value) -> (tempfile::TempDir, Toolbox, Persona) {
        let dir = tempfile::tempdir().unwrap();
        let mut whole = json!({"name": "ada", "version": 1, "backend": "acp", "agent": "x"});
        whole
            .as_object_mut()
            .unwrap()
            .extend(persona.as_object().unwrap().clone());
        let persona: Persona = serde_json::from_value(whole).unwrap();
        let tools = Toolbox::new(
            dir.path(),
            &persona,
            crate::engine::sandbox::SandboxLauncher::current_program(),
        )
        .unwrap();
        (dir, tools, persona)
    }

    async fn ask(
        tools: &Toolbox,
        persona: &Persona,
        permits: &[ToolPermit],
        method: &str,
        params: Value,
    ) -> ServedRequest {
        let table = RequestTable {
            persona,
            phase: &"plan".into(),
            permits,
            allowed: &Mutex::default(),
        };
        serve(tools, &table, method, params).await
    }

    fn request(kind: &str, path: Option<&str>, options: &[&str]) -> Value {
        let options: Vec<Value> = options
            .iter()
            .map(|kind| json!({"optionId": format!("id-{kind}"), "name": "n", "kind": kind}))
            .collect();
        let places: Vec<Value> = path.iter().map(|path| json!({ "path": path })).collect();
        json!({"sessionId": "s", "options": options,
            "toolCall": {"toolCallId": "c", "kind": kind, "title": "do it", "locations": places, "rawInput": {"command": "rm x"}}})
    }

    #[tokio::test]
    async fn a_permission_is_answered_from_the_personas_table() {
        let (_dir, tools, persona) = toolbox(
            json!({"tools": ["read_file", "write_file", "grep"], "permissions": {"grep": "ask"}}),
        );
        let all = ["allow_always", "allow_once", "reject_once", "reject_always"];
        for (kind, path, options, expected, code) in [
            ("read", None, &all[..], "id-allow_once", None),
            ("edit", Some("a.txt"), &all[..], "id-allow_once", None),
            (
                "edit",
                Some("a.txt"),
                &["allow_always"][..],
                "id-allow_always",
                None,
            ),
            (
                "edit",
                Some("/etc/passwd"),
                &all[..],
                "id-reject_once",
                Some(Code::PathOutsideWorktree),
            ),
            (
                "delete",
                Some("../x"),
                &["reject_always"][..],
                "id-reject_always",
                Some(Code::PathOutsideWorktree),
            ),
            (
                "execute",
                None,
                &all[..],
                "id-reject_once",
                Some(Code::ToolNotPermitted),
            ),
            (
                "fetch",
                None,
                &all[..],
                "id-reject_once",
                Some(Code::ToolNotPermitted),
            ),
            (
                "other",
                None,
                &["allow_once"][..],
                "cancelled",
                Some(Code::ToolNotPermitted),
            ),
            (
                "switch_mode",
                None,
                &all[..],
                "id-reject_once",
                Some(Code::ToolNotPermitted),
            ),
            ("search", None, &all[..], "cancelled", None),
            ("think", None, &all[..], "id-allow_once", None),
        ] {
            let served = ask(
                &tools,
                &persona,
                &[],
                "session/request_permission",
                request(kind, path, options),
            )
            .await;
            let answer = served.answer.unwrap();
            let said = answer["outcome"]["optionId"]
                .as_str()
                .or(answer["outcome"]["outcome"].as_str());
            assert_eq!(said, Some(expected), "{kind} {path:?}");
            let denied = served
                .record
                .and_then(|(_, done)| done.denied)
                .map(|why| why.code);
            assert_eq!(denied, code, "{kind} {path:?}");
        }
    }

    #[tokio::test]
    async fn the_operators_word_counts_for_the_call_it_was_given_for() {
        use crate::model::question::PermissionScope;
        let (_dir, tools, persona) =
            toolbox(json!({"tools": ["execute"], "permissions": {"execute": "ask"}}));
        let method = "session/request_permission";
        let wanted = request("execute", None, &["allow_once", "reject_once"]);
        let question = ask(&tools, &persona, &[], method, wanted.clone())
            .await
            .asks
            .unwrap();
        assert_eq!(
            (question.tool.as_str(), question.target.as_str()),
            ("execute", "do it")
        );
        assert_eq!(question.detail, "do it\n{\n  \"command\": \"rm x\"\n}");
        for (scope, phase, call, allowed, expected) in [
            (
                PermissionScope::Once,
                "plan",
                question.call.as_str(),
                true,
                Some("id-allow_once"),
            ),
            (
                PermissionScope::Once,
                "plan",
                question.call.as_str(),
                false,
                Some("id-reject_once"),
            ),
            (PermissionScope::Once, "plan", "acp:another:1", true, None),
            (
                PermissionScope::Phase,
                "plan",
                "acp:another:1",
                true,
                Some("id-allow_once"),
            ),
            (PermissionScope::Phase, "spec", "acp:another:1", true, None),
            (
                PermissionScope::Run,
                "spec",
                "acp:another:1",
                false,
                Some("id-reject_once"),
            ),
        ] {
            let permit = ToolPermit {
                request_id: serde_json::from_value(json!("01930000-0000-7000-8000-00000000000a"))
                    .unwrap(),
                tool: "execute".to_owned(),
                phase_key: Some(phase.into()),
                call: call.to_owned(),
                scope,
                allowed,
                comment: "no".to_owned(),
                by: "me".to_owned(),
            };
            let served = ask(
                &tools,
                &persona,
                std::slice::from_ref(&permit),
                method,
                wanted.clone(),
            )
            .await;
            let answer = served.answer.unwrap();
            assert_eq!(
                answer["outcome"]["optionId"].as_str(),
                expected,
                "{scope:?} {phase} {allowed}"
            );
            assert_eq!(served.asks.is_some(), expected.is_none());
            let (table_phase, seen) = (PhaseKey::from("plan"), Mutex::default());
            let table = RequestTable {
                persona: &persona,
                phase: &table_phase,
                permits: &[permit],
                allowed: &seen,
            };
            let _ = serve(&tools, &table, method, wanted.clone()).await;
            let again = serve(&tools, &table, method, wanted.clone())
                .await
                .asks
                .is_some();
            assert_eq!(
                again,
                expected.is_none() || (scope == PermissionScope::Once && allowed),
                "for once is for one call: {scope:?}"
            );
        }
    }

    #[tokio::test]
    async fn files_are_served_and_what_is_not_offered_is_refused() {
        let (dir, tools, persona) = toolbox(json!({"tools": ["read_file", "write_file"]}));
        let path = dir.path().join("a.txt");
        let write = json!({"sessionId": "s", "path": path, "content": "one\ntwo\n"});
        let served = ask(&tools, &persona, &[], "fs/write_text_file", write).await;
        assert_eq!(served.answer, Ok(json!({})));
        assert_eq!(served.record.unwrap().1.tool, "write_file");
        let part = json!({"sessionId": "s", "path": path, "line": 2, "limit": 1});
        assert_eq!(
            ask(&tools, &persona, &[], "fs/read_text_file", part)
                .await
                .answer,
            Ok(json!({"content": "two\n"}))
        );
        for (method, params, code) in [
            (
                "fs/read_text_file",
                json!({"sessionId": "s", "path": "/etc/passwd"}),
                BAD_PARAMS,
            ),
            (
                "fs/read_text_file",
                json!({"sessionId": "s", "path": path.with_extension("no")}),
                NOT_FOUND,
            ),
            ("fs/read_text_file", json!(7), BAD_PARAMS),
            (
                "fs/write_text_file",
                json!({"sessionId": "s", "path": "../x", "content": ""}),
                BAD_PARAMS,
            ),
            ("session/request_permission", json!({}), BAD_PARAMS),
            (
                "terminal/create",
                json!({"sessionId": "s", "command": "sh"}),
                NO_SUCH_METHOD,
            ),
        ] {
            let refusal = ask(&tools, &persona, &[], method, params)
                .await
                .answer
                .unwrap_err();
            assert_eq!(refusal.code, code, "{method}: {}", refusal.message);
        }
    }
}
